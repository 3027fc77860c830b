"""Test-time augmentation of masks: mmdet's own merges boxes alone.

Shapes: ``V`` views of an image, ``N`` merged detections, ``H, W`` the image's size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.ops import batched_nms
from mmdet.models import DetTTAModel
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import bbox_flip, bbox_overlaps
from mmdet.structures.mask import mask2bbox
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor

from .fitted_scores import FittedScores

# Of a mask (N, H, W).
FLIPPED_DIMS = {'horizontal': [2], 'vertical': [1], 'diagonal': [1, 2]}
IOU_FIELDS = ('mask_ious', 'uncalibrated_mask_ious')


@MODELS.register_module()
class MSTTAModel(DetTTAModel):
    """Merges the boxes, masks and mask scores of flipped and resized views of an image.

    Boxes are merged as ``DetTTAModel`` merges them, by NMS over the boxes of all views. A merged
    detection has at most one detection of each view: the best overlapping one of its class, from
    the IoU of that NMS on. Their masks are averaged in the image and cut at the model's threshold.
    Models with a RoI head give probabilities for that, all others binary masks. ``mask_ious`` are
    averaged, and ``mask_scores`` are their product with the class score. The ranking scores of a
    ``mask_rank_head`` are averaged themselves.

    Predictions gain ``mask_agreements`` (N,) in [0, 1]: the mean IoU of the views' masks with the
    merged mask, where a view without the detection counts as 0. They need no MaskIoU head, so that
    any instance segmentation model of mmdet can rank its masks by them.

    Args:
        module: config of the model; mmdet's ``--tta`` fills it in.
        tta_cfg: ``nms`` and ``max_per_img``, as in ``DetTTAModel``.
        rank_by_agreement: make ``mask_scores`` the product of class score and agreement.
    """

    def __init__(
        self, *args: Any, tta_cfg: dict, rank_by_agreement: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(*args, tta_cfg=ConfigDict(tta_cfg), **kwargs)
        self.rank_by_agreement = rank_by_agreement
        self.cut = 127.5  # A pixel of 0 to 255 belongs to a mask from here on.
        roi_head: Any = getattr(self.module, 'roi_head', None)
        scorer = self.module if isinstance(self.module, FittedScores) else roi_head
        rank_head: Any = getattr(scorer, 'mask_rank_head', None)
        self.ranks_by_head = rank_head is not None
        cfg = getattr(roi_head, 'test_cfg', None) or {}
        if scorer is roi_head and cfg.get('mask_thr_binary', -1) >= 0:
            # Below 0 the host gives probabilities, in steps of 1/255, rounded down.
            self.cut = 255 * cfg['mask_thr_binary'] - 0.5
            roi_head.test_cfg = ConfigDict({**cfg, 'mask_thr_binary': -1})
            if rank_head is not None:
                rank_head.soft_mask_cut = self.cut

    def _merge_single_sample(self, data_samples: Sequence[DetDataSample]) -> DetDataSample:
        """Merges the predictions of the views of one image."""
        views = [self._turned_back(sample) for sample in data_samples]
        merged, chosen = self._merge_boxes(views)
        found = self._find_in_views(merged, views)
        merged.masks, merged.mask_agreements = self._merge_masks(views, found, chosen)
        for field in IOU_FIELDS:
            if field in views[0]:
                merged[field] = _mean_of_views(views, found, field)
        if self.rank_by_agreement:
            merged.mask_scores = merged.scores * merged.mask_agreements
        elif self.ranks_by_head:
            merged.mask_scores = _mean_of_views(views, found, 'mask_scores')
        elif 'mask_scores' in views[0]:
            merged.mask_scores = merged.scores * _mean_of_views(views, found, 'factors')
        sample = data_samples[0]
        sample.pred_instances = merged
        return sample

    def _turned_back(self, sample: DetDataSample) -> InstanceData:
        """Returns a view's predictions in the frame of the image, masks as uint8 of 0 to 255."""
        view, meta = sample.get('pred_instances'), sample.metainfo
        if view is None or 'masks' not in view:
            raise ValueError(
                'MSTTAModel merges masks, but the model predicts none: use DetTTAModel'
            )
        if 'flip' not in meta or 'ori_shape' not in meta:
            raise ValueError(
                f'the views say {sorted(meta)}, but not flip, flip_direction and ori_shape: add '
                'them to meta_keys of PackDetInputs in tta_pipeline'
            )
        height, width = meta['ori_shape'][:2]
        if tuple(view.masks.shape[1:]) != (height, width):
            raise ValueError(
                f'masks of {tuple(view.masks.shape[1:])} pixels in an image of {(height, width)}: '
                'the model does not rescale its masks to the image, so views cannot be merged'
            )
        view = view.clone()
        if view.masks.dtype == torch.bool:
            view.masks = view.masks.to(torch.uint8) * 255
        if len(view) and not view.bboxes.any():  # SOLO gives none
            view.bboxes = mask2bbox(view.masks >= self.cut)
        if meta['flip']:
            direction = meta['flip_direction']
            view.masks = view.masks.flip(FLIPPED_DIMS[direction])
            view.bboxes = bbox_flip(view.bboxes, (height, width), direction)
        if 'mask_scores' in view:
            view.factors = view.mask_scores / view.scores.clamp(min=1e-12)
        return view

    def _merge_boxes(self, views: Sequence[InstanceData]) -> tuple[InstanceData, Tensor]:
        """Merges boxes, labels and class scores of the views.

        Returns:
            N detections; and of each its index among those of all views together.
        """
        boxes, scores = (torch.cat([view[key] for view in views]) for key in ('bboxes', 'scores'))
        labels = torch.cat([view.labels for view in views]).long()
        if len(boxes):
            found, kept = batched_nms(boxes, scores, labels, self.tta_cfg.nms)
            kept = kept[: self.tta_cfg.max_per_img]
            scores = found[: len(kept), -1]  # Soft-NMS changes them
        else:
            kept = labels
        return InstanceData(bboxes=boxes[kept], labels=labels[kept], scores=scores), kept

    def _find_in_views(self, merged: InstanceData, views: Sequence[InstanceData]) -> Tensor:
        """Finds each merged detection in each view: indices (V, N), -1 where it is not there."""
        rows = []
        for view in views:
            if not len(view):
                rows.append(torch.full_like(merged.labels, -1))
                continue
            ious = bbox_overlaps(merged.bboxes, view.bboxes)
            ious[merged.labels[:, None] != view.labels[None]] = -1
            best, index = ious.max(1)
            index[best < self.tta_cfg.nms.get('iou_threshold', 0.5)] = -1
            rows.append(index)
        return torch.stack(rows)

    def _merge_masks(
        self, views: Sequence[InstanceData], found: Tensor, chosen: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Averages masks: (N, H, W) bool; and the agreement (N,) of the views with them."""
        total = views[0].masks.new_zeros(len(chosen), *views[0].masks.shape[1:], dtype=torch.int16)
        for view, index in zip(views, found):
            total[index >= 0] += view.masks[index[index >= 0]]
        limit = (self.cut * (found >= 0).sum(0))[:, None, None]
        masks = total > limit
        # Binary masks of two views tie where they differ. The better-scored view decides.
        own = torch.cat([view.masks for view in views])[chosen] >= self.cut
        masks |= (total == limit) & own
        ious = torch.zeros(found.shape, device=masks.device)
        for row, view, index in zip(ious, views, found):
            there = index >= 0
            of_view, of_merged = view.masks[index[there]] >= self.cut, masks[there]
            union = (of_view | of_merged).sum((1, 2)).clamp(min=1)
            row[there] = (of_view & of_merged).sum((1, 2)) / union
        return masks, ious.mean(0)


def _mean_of_views(views: Sequence[InstanceData], found: Tensor, field: str) -> Tensor:
    """Averages a field (N,) over the views that have the detection."""
    total = torch.zeros(found.shape[1], device=found.device)
    for view, index in zip(views, found):
        there = index >= 0
        total[there] += view[field][index[there]]
    return total / (found >= 0).sum(0).clamp(min=1)
