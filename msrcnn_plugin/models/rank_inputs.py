"""What the ranking head is told of an image's detections, at prediction and when it is fitted."""

from __future__ import annotations

from typing import NamedTuple

import torch
from mmdet.structures.bbox import get_box_tensor
from mmengine.structures import InstanceData
from torch import Tensor

from ..geometry import sampled_intersections
from ..geometry.detection_numbers import (
    DETECTION_NUMBERS,
    NEIGHBOUR_NUMBERS,
    PAIR_NUMBERS,
    SOFT_NUMBERS,
    detection_numbers,
    logit,
    neighbour_numbers,
    pair_numbers,
    soft_numbers,
)

_NEIGHBOUR = (*NEIGHBOUR_NUMBERS, 'better_score_logit', 'better_mean_mask_prob')
# Names of the numbers of a detection. The MaskIoU head makes the first one alone, so the others
# stay where that head is exchanged.
NUMBERS = (
    'iou_logit',
    *DETECTION_NUMBERS,
    *SOFT_NUMBERS,
    *(f'same_class_{name}' for name in _NEIGHBOUR),
    *(f'other_class_{name}' for name in _NEIGHBOUR),
)
PAIRS = PAIR_NUMBERS
MASK_SIDE = 28  # to which PointRend's large masks are thinned out


class RankInputs(NamedTuple):
    """``N`` detections of an image: ``numbers`` (N, D) and ``pairs`` (N, N, P), float32."""

    numbers: Tensor
    pairs: Tensor


def rank_inputs(
    results: InstanceData,
    mask_probs: Tensor,
    boxes: Tensor | None = None,
    soft_mask_cut: float | None = None,
) -> RankInputs:
    """Computes the ranking head's inputs from an image's predictions, without a loop over them.

    Args:
        results: N detections as emitted, in the frame of their masks: ``bboxes``, ``labels``,
            ``scores``, ``masks`` (N, H, W) bool, and the MaskIoU head's IoU as ``mask_ious``.
        mask_probs: (N, M, M) probabilities of the final masks on the RoI grid.
        boxes: (N, 4) around the masks, in their pixels; by default those of the results. Some hosts
            emit none worth the name.
        soft_mask_cut: where the masks are soft, the value from which a pixel belongs to one.

    Raises:
        ValueError: for soft masks without a cut.
    """
    masks = results.masks if soft_mask_cut is None else results.masks >= soft_mask_cut
    # SOLO's are of another type where it finds nothing.
    if len(masks) and masks.dtype != torch.bool:
        raise ValueError(
            f'the ranking head compares binary masks, but these are {masks.dtype}: set '
            'test_cfg.rcnn.mask_thr_binary to 0 or more, such as 0.5.'
        )
    masks = masks.bool()
    boxes = get_box_tensor(results.bboxes if boxes is None else boxes).float()
    scores = results.scores.float()
    intersections = sampled_intersections(masks, boxes)
    areas = intersections.diagonal()
    pairs = pair_numbers(intersections, areas, scores, results.labels)
    alone = detection_numbers(scores, boxes, areas, tuple(masks.shape[1:]))
    stride = max(mask_probs.size(1) // MASK_SIDE, 1)
    soft = soft_numbers(mask_probs[:, ::stride, ::stride].float())
    carried = torch.stack([alone[:, 0], soft[:, 0]], 1)
    same, other = (neighbour_numbers(pairs, carried, same_class=of) for of in (True, False))
    iou_logits = logit(results.mask_ious.float())[:, None]
    return RankInputs(torch.cat([iou_logits, alone, soft, same, other], 1), pairs)
