"""A MaskIoU head without the layer that holds three quarters of its parameters."""

from mmdet.registry import MODELS
from torch import Tensor

from ..mask_iou_head import MSMaskIoUHead


@MODELS.register_module()
class PooledMaskIoUHead(MSMaskIoUHead):
    """`MSMaskIoUHead` whose fully connected layers see the mean over the feature's cells.

    The paper's see each cell: 256 channels of 7 x 7 are 12544 inputs of the first of them.
    """

    def _flat_size(self, channels: int, height: int, width: int) -> int:
        return channels

    def _flatten(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))
