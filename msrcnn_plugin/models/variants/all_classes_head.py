"""The MaskIoU head as one regression for all classes (the paper's targets #2 and #3)."""

from mmdet.registry import MODELS
from torch import Tensor

from ...geometry import MaskIoUTarget
from ..mask_iou_head import MSMaskIoUHead


@MODELS.register_module()
class AllClassesMaskIoUHead(MSMaskIoUHead):
    """`MSMaskIoUHead` that learns the IoU for each class, not for the target class alone.

    Its targets are those of `AllClassesSampler` or `PresentClassesSampler`.
    """

    def loss(self, mask_ious: Tensor, labels: Tensor, target: MaskIoUTarget) -> dict:
        """The loss over all valid pairs of a RoI and a class.

        Args:
            mask_ious: (R, K) from :meth:`forward`.
            labels: (R,) long.
            target: ``iou`` and ``valid`` (R, K).
        """
        if target.iou.shape != mask_ious.shape:
            raise ValueError(
                f'AllClassesMaskIoUHead predicts {tuple(mask_ious.shape)} (RoIs, classes), its '
                f'target is {tuple(target.iou.shape)}. Give the RoI head mask_iou_sampler='
                "dict(type='AllClassesSampler'), and the MaskIoU head no class_agnostic=True."
            )
        pairs = MaskIoUTarget(*(tensor.flatten() for tensor in target))
        return super().loss(mask_ious.reshape(-1, 1), labels, pairs)
