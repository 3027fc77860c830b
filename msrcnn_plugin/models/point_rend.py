"""PointRend, the host that refines its masks."""

from __future__ import annotations

from typing import Any

import torch
from mmcv.ops import point_sample
from mmcv.ops.point_sample import generate_grid
from mmdet.models.roi_heads import PointRendRoIHead
from mmdet.registry import MODELS
from mmdet.structures.bbox import bbox2roi
from torch import Tensor

from .mask_forward import MaskLossInputs
from .roi_heads import StandardScoring


@MODELS.register_module()
class MSPointRendRoIHead(StandardScoring, PointRendRoIHead):
    """mmdet's ``PointRendRoIHead`` with mask scoring.

    At prediction the refined mask is scored, 224 x 224 in mmdet's config. In training the MaskIoU
    head sees a refined mask as well, and its target is that mask's IoU. It is the point head's
    on a grid of twice the RoI feature's side, 28 x 28, through which refinement goes on its way up.
    Full refinement would need gigabytes for a batch of positives. The loss has no gradient through
    the refinement.
    """

    @torch.no_grad()
    def _learned_logits(self, given: MaskLossInputs, x: tuple[Tensor, ...]) -> Tensor:
        """Gives the logits (R, K, 2 S, 2 S) of the point head on the whole grid."""
        rois = bbox2roi(given.boxes)
        size = [2 * side for side in self.mask_iou_head.roi_feat_size]
        points = generate_grid(len(rois), size, rois.device)
        fine = self._get_fine_grained_point_feats(x, rois, points)
        coarse = point_sample(given.mask_logits, points)
        return self.point_head(fine, coarse).unflatten(2, size)

    def _mask_point_loss(self, *args: Any, mask_preds: Tensor, **kwargs: Any) -> dict:
        if self.only_mask_iou_loss:
            return dict(loss_point=None)
        results = super()._mask_point_loss(*args, mask_preds=mask_preds, **kwargs)
        if not len(mask_preds):
            # The host's loss is the mean over no point: NaN.
            results['loss_point'] = results['loss_point'].nan_to_num()
        return results

    def _get_fine_grained_point_feats(
        self, x: tuple[Tensor, ...], rois: Tensor, rel_roi_points: Tensor
    ) -> Tensor:
        if len(rois):
            return super()._get_fine_grained_point_feats(x, rois, rel_roi_points)
        # mmdet's asserts that there are RoIs, and fails for an image without detections.
        channels = sum(level.size(1) for level in x[: self.mask_roi_extractor.num_inputs])
        return x[0].new_zeros(0, channels, rel_roi_points.size(1))
