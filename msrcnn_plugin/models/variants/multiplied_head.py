"""The head's input (b) of the paper's ablations."""

from mmdet.registry import MODELS
from torch import Tensor

from ..mask_iou_head import MSMaskIoUHead


@MODELS.register_module()
class MultipliedMaskIoUHead(MSMaskIoUHead):
    """`MSMaskIoUHead` that sees the RoI feature times the pooled mask: nothing around the mask."""

    def _input_channels(self) -> int:
        return self.in_channels

    def _input(self, roi_feats: Tensor, mask: Tensor) -> Tensor:
        return roi_feats * mask
