"""The head's input (c) of the paper's ablations."""

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from torch import Tensor

from ..mask_forward import MaskForward
from ..roi_heads import MSRoIHead


@MODELS.register_module()
class MSAllMasksRoIHead(MSRoIHead):
    """`MSRoIHead` that shows its MaskIoU head the masks of all classes, after the RoI feature.

    They are pooled to its size, one channel each. A `FeatureOnlyMaskIoUHead` sees nothing else;
    `MSMaskIoUHead` would see the mask of the target class once more.
    """

    def _scoring_sizes(self, stage: int) -> dict:
        sizes = super()._scoring_sizes(stage)
        masks = 1 if self.mask_head.class_agnostic else self.mask_head.num_classes
        return dict(sizes, in_channels=sizes['in_channels'] + masks)

    def _scoring_feats(self, forward: MaskForward) -> Tensor:
        roi_feats = super()._scoring_feats(forward)
        mask_logits = forward.mask_logits
        if self.mask_iou_head.detach_mask:
            mask_logits = mask_logits.detach()
        pooled = F.adaptive_max_pool2d(mask_logits.sigmoid(), roi_feats.shape[2:])
        return torch.cat([roi_feats, pooled.to(roi_feats.dtype)], 1)
