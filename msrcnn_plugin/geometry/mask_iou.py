"""The training target of the MaskIoU head (paper, section 3.2)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .roi_ground_truth import RoIGroundTruth


class MaskIoUTarget(NamedTuple):
    """``iou`` (R,) float in [0, 1]; ``valid`` (R,) bool, False where there is no IoU (0 there)."""

    iou: Tensor
    valid: Tensor


def mask_iou_target(
    mask_probs: Tensor, ground_truth: RoIGroundTruth, threshold: float = 0.5
) -> MaskIoUTarget:
    """Computes the IoU of each predicted mask with the *whole* ground-truth mask.

    The part of the ground truth outside the RoI counts. On the RoI grid, with ``P`` the prediction
    above the threshold, ``T`` the ground truth and ``c`` the share of the ground truth's area that
    lies inside the RoI::

        IoU = |P & T| / (|P| + |T| / c - |P & T|)

    An empty prediction, and a RoI that misses its ground truth, have IoU 0 and are valid.

    Args:
        mask_probs: (R, M, M) probability of the mask of the target class.
        ground_truth: of the same RoIs on the same grid.
        threshold: probability above which a cell is foreground. The paper's code cuts the logit at
            0, which is probability 0.5; mmdet's own head cuts the *logit* at 0.5, probability 0.62.
    """
    predicted = mask_probs.detach() > threshold
    target = ground_truth.grid >= 0.5
    intersection = (predicted & target).sum((1, 2))
    predicted_area, target_area = predicted.sum((1, 2)), target.sum((1, 2))
    # A RoI that misses its ground truth has no cell from which to infer the area outside. Its IoU
    # is 0.
    coverage = torch.where(ground_truth.coverage > 0, ground_truth.coverage, 1.0)
    union = predicted_area + target_area / coverage - intersection
    iou = intersection / union.clamp(min=1)
    return MaskIoUTarget(torch.where(ground_truth.valid, iou, 0.0), ground_truth.valid)
