"""The head's input (a) of the paper's ablations without its max-pool."""

import torch.nn.functional as F
from mmdet.registry import MODELS
from torch import Tensor

from ..mask_iou_head import MSMaskIoUHead

SIDE = 2  # cells of the mask along a cell of the feature


@MODELS.register_module()
class SubPixelMaskIoUHead(MSMaskIoUHead):
    """`MSMaskIoUHead` that sees the mask as four channels, one for each quarter of a cell.

    Of a mask of 28 x 28 beside a feature of 14 x 14 nothing is lost, least of all where its outline
    runs. A mask of another size is max-pooled to twice the feature's first.
    """

    def _input_channels(self) -> int:
        return self.in_channels + SIDE**2

    def _input_mask(self, mask_probs: Tensor) -> Tensor:
        quarters = F.adaptive_max_pool2d(mask_probs, [SIDE * side for side in self.roi_feat_size])
        # What F.pixel_unshuffle gives, but for no RoI (pytorch/pytorch#192816).
        return quarters.unfold(1, SIDE, SIDE).unfold(2, SIDE, SIDE).flatten(3)
