"""The masks cut where mmdet's own MaskIoU head cuts them."""

import torch
from mmdet.registry import MODELS
from torch import Tensor

from ...geometry import MaskIoUTarget, RoIGroundTruth, mask_iou_target
from ..mask_iou_head import MSMaskIoUHead

PROBABILITY = torch.tensor(0.5).sigmoid().item()  # 0.62


@MODELS.register_module()
class LogitCutMaskIoUHead(MSMaskIoUHead):
    """`MSMaskIoUHead` that learns the IoU of masks whose *logit* is cut at 0.5.

    Such a mask is smaller than the one that is emitted, which is cut at probability 0.5. It is for
    the mask head's positives: a ``mask_iou_sampler`` has its own targets, of what is emitted.
    """

    def target(self, mask_probs: Tensor, ground_truth: RoIGroundTruth) -> MaskIoUTarget:
        """As the parent's, of smaller masks."""
        return mask_iou_target(mask_probs, ground_truth, PROBABILITY)
