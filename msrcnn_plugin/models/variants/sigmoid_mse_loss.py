"""L2 on an IoU that cannot leave (0, 1)."""

from mmdet.models.losses import MSELoss
from mmdet.registry import MODELS
from torch import Tensor


@MODELS.register_module()
class SigmoidMSELoss(MSELoss):
    """mmdet's ``MSELoss`` of the sigmoid of the prediction: the head predicts a logit."""

    use_sigmoid = True

    def forward(self, pred: Tensor, *args, **kwargs) -> Tensor:
        """As the parent's; ``pred`` (R,) logits."""
        return super().forward(pred.sigmoid(), *args, **kwargs)
