"""A mask score in which the class score counts less, or more, than in the paper's product."""

from mmdet.registry import MODELS
from torch import Tensor

from ..roi_heads import MSRoIHead


@MODELS.register_module()
class MSScorePowerRoIHead(MSRoIHead):
    """`MSRoIHead` whose mask score is s_cls^p * s_iou.

    Any s_cls^a * s_iou^b ranks as it does with p = a / b. ``tools/score_exponent.py`` chooses p on
    pairs of predicted and true IoU, which should not be those that judge it.

    Args:
        score_power: p, from 0 (the predicted IoU alone); 1 is the paper's product.
    """

    def __init__(self, *args, score_power: float, **kwargs) -> None:
        if score_power < 0:
            raise ValueError(
                f'MSScorePowerRoIHead: score_power={score_power}; give 0 or more, 1 for the '
                "paper's product of class score and predicted IoU."
            )
        super().__init__(*args, **kwargs)
        self.score_power = score_power

    def _mask_scores(self, scores: Tensor, mask_ious: Tensor) -> Tensor:
        return scores**self.score_power * mask_ious
