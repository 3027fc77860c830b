"""The prediction of a Mask Scoring R-CNN in operators that can be exported.

mmdet's own post-processing changes what it computes while it is exported. So the networks are the
host's, and decoding, NMS and RoIAlign are written here again, from torchvision's operators.

Shapes: ``N`` detections, ``R`` RoIs, ``K`` classes, ``M`` side of a mask. One image at a time.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import nms, roi_align

from ..geometry import gather_by_label
from .supported import require_supported


class Detections(NamedTuple):
    """The detections of an image, in the host's order; the outputs of an exported file.

    Attributes:
        bboxes: (N, 4) x1, y1, x2, y2 in pixels of the input.
        labels: (N,) long.
        scores: (N,) class scores.
        mask_probs: (N, M, M) probability, on the grid of the box.
        mask_ious: (N,) predicted IoU in [0, 1], calibrated where the model is.
        mask_scores: (N,).
    """

    bboxes: Tensor
    labels: Tensor
    scores: Tensor
    mask_probs: Tensor
    mask_ious: Tensor
    mask_scores: Tensor


class DeploymentModel(nn.Module):
    """Predicts what mmdet's ``predict`` does, but for the pasting of the masks.

    Args:
        model: a Mask R-CNN with `MSRoIHead`. Its weights are shared, not copied.

    Raises:
        ValueError: names the part of ``model`` that is not supported.
    """

    def __init__(self, model: Any) -> None:
        require_supported(model)
        super().__init__()
        self.model = model.eval()
        self.mask_scorer = MaskScorer(model.roi_head)

    def forward(self, image: Tensor, valid_size: Tensor) -> Detections:
        """Detects the objects of an image.

        Args:
            image: (1, 3, height, width), resized, normalised and padded.
            valid_size: (2,) long, height and width without the padding.
        """
        feats = self.model.extract_feat(image)
        corner = valid_size.flip(0).to(image.dtype).repeat(2)
        bboxes, labels, scores = self._detect(feats, self._propose(feats, corner), corner)

        roi_head = self.model.roi_head
        rois = _with_batch_index(bboxes)
        roi_feats = self._roi_feats(roi_head.mask_roi_extractor, feats, rois)
        # A convolution of one RoI more could round otherwise than the host's.
        roi_feats = roi_feats[:-1]
        mask_probs = gather_by_label(roi_head.mask_head(roi_feats), labels).sigmoid()
        mask_ious = self.mask_scorer(roi_feats, mask_probs, labels)
        mask_scores = scores * mask_ious
        calibration = roi_head.mask_iou_calibration
        if calibration is not None:
            mask_ious = calibration(mask_ious)
            if calibration.rerank:
                mask_scores = scores * mask_ious
        if roi_head.rescore_boxes:
            scores = mask_scores
        return Detections(bboxes, labels, scores, mask_probs, mask_ious, mask_scores)

    def _propose(self, feats: tuple[Tensor, ...], corner: Tensor) -> Tensor:
        """Proposes boxes (R, 4), as mmdet's RPN does."""
        head, cfg = self.model.rpn_head, self.model.rpn_head.test_cfg
        outputs = list(zip(*head(feats)))
        sizes = [logits.shape[-2:] for logits, _ in outputs]
        priors = head.prior_generator.grid_priors(sizes, feats[0].dtype, feats[0].device)
        levels = []
        for level, ((logits, deltas), anchors) in enumerate(zip(outputs, priors)):
            logits = logits[0].permute(1, 2, 0).reshape(-1, head.cls_out_channels)
            scores = logits.sigmoid() if head.use_sigmoid_cls else logits.softmax(-1)
            deltas = deltas[0].permute(1, 2, 0).reshape(-1, 4)
            scores, order = scores[:, 0].sort(descending=True)
            if cfg.get('nms_pre', -1) > 0:
                scores, order = scores[: cfg.nms_pre], order[: cfg.nms_pre]
            boxes = _decode(head.bbox_coder, anchors[order], deltas[order], corner)[:, 0]
            levels.append((boxes, scores, torch.full_like(order, level)))
        boxes, scores, level_ids = (torch.cat(parts) for parts in zip(*levels))
        if cfg.get('min_bbox_size', -1) >= 0:
            large = ((boxes[:, 2:] - boxes[:, :2]) > cfg.min_bbox_size).all(1)
            boxes, scores, level_ids = boxes[large], scores[large], level_ids[large]
        return boxes[_nms(boxes, scores, level_ids, cfg.nms)[: cfg.max_per_img]]

    def _detect(
        self, feats: tuple[Tensor, ...], proposals: Tensor, corner: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Classifies proposals: boxes (N, 4), labels (N,) and class scores (N,) after NMS."""
        roi_head, cfg = self.model.roi_head, self.model.roi_head.test_cfg
        head = roi_head.bbox_head
        rois = _with_batch_index(proposals)
        logits, deltas = head(self._roi_feats(roi_head.bbox_roi_extractor, feats, rois))
        boxes = _decode(head.bbox_coder, rois[:, 1:], deltas, corner)[:-1]
        scores = logits[:-1].softmax(-1)[:, :-1]
        candidates = (scores > cfg.score_thr).reshape(-1).nonzero()[:, 0]
        roi_inds = candidates // head.num_classes
        labels = candidates - roi_inds * head.num_classes
        boxes = boxes[roi_inds, 0 * labels if head.reg_class_agnostic else labels]
        scores = scores.reshape(-1)[candidates]
        kept = _nms(boxes, scores, labels, cfg.nms)
        kept = kept[: cfg.max_per_img] if cfg.max_per_img > 0 else kept
        return boxes[kept], labels[kept], scores[kept]

    def _roi_feats(self, extractor: Any, feats: tuple[Tensor, ...], rois: Tensor) -> Tensor:
        """Pools (R, C, S, S), each RoI from the level of the pyramid that fits its size."""
        feats = feats[: extractor.num_inputs]
        if len(feats) == 1:
            pooled = _roi_align(extractor.roi_layers[0], feats[0], rois)
        else:
            levels = extractor.map_roi_levels(rois, len(feats))
            inds = [(levels == level).nonzero()[:, 0] for level in range(len(feats))]
            parts = [
                _roi_align(layer, level_feats, rois[of_level])
                for layer, level_feats, of_level in zip(extractor.roi_layers, feats, inds)
            ]
            order = torch.cat(inds)
            pooled = torch.cat(parts)[order.argsort()]
        roi_head = self.model.roi_head
        return roi_head.shared_head(pooled) if roi_head.with_shared_head else pooled


class MaskScorer(nn.Module):
    """The MaskIoU head alone: predicts the IoU of masks from elsewhere."""

    def __init__(self, roi_head: Any) -> None:
        super().__init__()
        # A shallow copy has the same weights, and its own pooling.
        self.head = copy.copy(roi_head.mask_iou_head)
        side = self.head.roi_feat_size[0]
        feats = torch.zeros(1, self.head.in_channels, *self.head.roi_feat_size)
        with torch.no_grad():
            weight = next(self.head.parameters())
            self.mask_size = roi_head.mask_head(feats.to(weight)).shape[-1]
        # Adaptive pooling of a mask exports into a file that does not load. FCNMaskHead's masks
        # are a whole number of times as large as its features.
        self.head.pool = _MaxPool(self.mask_size // side)

    def forward(self, roi_feats: Tensor, mask_probs: Tensor, labels: Tensor) -> Tensor:
        """Predicts the IoU (R,) in [0, 1] of masks (R, M, M), not calibrated."""
        mask_ious = gather_by_label(self.head(roi_feats, mask_probs), labels)
        return mask_ious.sigmoid() if self.head.predicts_logits else mask_ious.clamp(0, 1)


class _MaxPool:
    def __init__(self, ratio: int) -> None:
        self.ratio = ratio

    def __call__(self, mask_probs: Tensor) -> Tensor:
        return F.max_pool2d(mask_probs[:, None], self.ratio)


def _with_batch_index(boxes: Tensor) -> Tensor:
    """Turns boxes (R, 4) into RoIs (R + 1, 5); the last one is a dummy.

    An exported network fails without any RoI. The dummy's results are dropped.
    """
    boxes = torch.cat([boxes, boxes.new_ones(1, 4)])
    return torch.cat([torch.zeros_like(boxes[:, :1]), boxes], 1)


def _roi_align(layer: Any, feats: Tensor, rois: Tensor) -> Tensor:
    return roi_align(
        feats, rois, layer.output_size, layer.spatial_scale, layer.sampling_ratio, layer.aligned
    )


def _decode(coder: Any, boxes: Tensor, deltas: Tensor, corner: Tensor) -> Tensor:
    """Applies deltas (R, K * 4) to boxes (R, 4): (R, K, 4), inside the image."""
    deltas = deltas.unflatten(1, (-1, 4)) * deltas.new_tensor(coder.stds)
    deltas = deltas + deltas.new_tensor(coder.means)
    centers = ((boxes[:, :2] + boxes[:, 2:]) * 0.5)[:, None]
    sizes = (boxes[:, 2:] - boxes[:, :2])[:, None]
    limit = float(np.abs(np.log(16 / 1000)))  # mmdet's, of the change of a side
    centers = centers + sizes * deltas[..., :2]
    halves = sizes * deltas[..., 2:].clamp(-limit, limit).exp() * 0.5
    decoded = torch.cat([centers - halves, centers + halves], -1)
    return torch.minimum(decoded.clamp(min=0), corner) if coder.clip_border else decoded


def _nms(boxes: Tensor, scores: Tensor, groups: Tensor, cfg: Any) -> Tensor:
    """Keeps boxes by NMS among those of one group; the indices, best first."""
    if not cfg.get('class_agnostic', False):
        # mmcv's: boxes of different groups are moved apart. The zero serves an empty image.
        extent = torch.cat([boxes.reshape(-1), boxes.new_zeros(1)]).max() + 1
        boxes = boxes + (groups.to(boxes.dtype) * extent)[:, None]
    return nms(boxes, scores, cfg.iou_threshold)
