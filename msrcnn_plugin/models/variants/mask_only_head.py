"""How far the mask alone tells its IoU (A #10 of the paper's ablations)."""

from mmdet.registry import MODELS
from torch import Tensor

from ..mask_iou_head import MSMaskIoUHead


@MODELS.register_module()
class MaskOnlyMaskIoUHead(MSMaskIoUHead):
    """`MSMaskIoUHead` that sees the pooled mask and no RoI feature."""

    def _input_channels(self) -> int:
        return 1

    def _input(self, roi_feats: Tensor, mask: Tensor) -> Tensor:
        return mask
