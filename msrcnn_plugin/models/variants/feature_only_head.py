"""How far the RoI feature tells the IoU of a mask that is not seen."""

from mmdet.registry import MODELS
from torch import Tensor

from ..mask_iou_head import MSMaskIoUHead


@MODELS.register_module()
class FeatureOnlyMaskIoUHead(MSMaskIoUHead):
    """`MSMaskIoUHead` that sees the RoI feature and no mask."""

    def _input_channels(self) -> int:
        return self.in_channels

    def _input(self, roi_feats: Tensor, mask: Tensor) -> Tensor:
        return roi_feats
