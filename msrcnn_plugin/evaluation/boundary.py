"""Boundary IoU: how well two masks agree near their outlines, where mask IoU sees little.

Cheng et al., *Boundary IoU* (arXiv 2103.16562): only the pixels of a mask that lie within a
distance of its outline count, 2 % of the image's diagonal. Boundary AP takes the smaller one of
mask IoU and boundary IoU, so that a ring around an object gains nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as mask_utils

from .matching import RLE, pairwise_rle_iou

DILATION_RATIO = 0.02


def boundary_width(height: int, width: int, ratio: float = DILATION_RATIO) -> int:
    """Computes the width of the boundary in pixels, at least 1."""
    return max(1, round(ratio * math.hypot(height, width)))


def mask_boundary(mask: NDArray, distance: int) -> NDArray[np.bool_]:
    """Computes the pixels (H, W) of a mask within ``distance`` of a pixel that is not of it.

    Distances go over sides and corners alike. What lies outside the image is not of the mask.

    Example:
        >>> mask_boundary(np.ones((3, 3)), 1).astype(int).tolist()
        [[1, 1, 1], [1, 0, 1], [1, 1, 1]]
    """
    from scipy.ndimage import minimum_filter1d  # slow to import

    inner = np.asarray(mask, dtype=np.uint8)
    for axis in (0, 1):
        inner = minimum_filter1d(inner, 2 * distance + 1, axis=axis, mode='constant', cval=0)
    return np.asarray(mask, dtype=bool) & (inner == 0)


def pairwise_boundary_iou(
    detections: Sequence[RLE], gts: Sequence[RLE], crowd: Sequence[int] | NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Computes the smaller one of mask IoU and boundary IoU of all pairs, (D, T) in [0, 1].

    With a crowd it is the mask IoU. ``D`` or ``T`` may be 0.
    """
    ious = pairwise_rle_iou(detections, gts, crowd)
    objects = np.flatnonzero(~np.asarray(crowd, dtype=bool)).tolist()
    found = np.flatnonzero((ious[:, objects] > 0).any(axis=1)).tolist()  # the others stay at 0
    if found:
        at_boundary = pairwise_rle_iou(
            [_boundary_rle(detections[i]) for i in found],
            [_boundary_rle(gts[i]) for i in objects],
            np.zeros(len(objects), dtype=bool),
        )
        block = np.ix_(found, objects)
        ious[block] = np.minimum(ious[block], at_boundary)
    return ious


def _boundary_rle(rle: RLE) -> RLE:
    distance = boundary_width(*rle['size'])
    x, y, width, height = mask_utils.toBbox(rle).astype(int)
    if min(width, height) <= 2 * distance:  # no pixel lies deeper
        return rle
    mask = mask_utils.decode(rle)
    window = np.s_[y : y + height, x : x + width]
    mask[window] = mask_boundary(mask[window], distance)
    return mask_utils.encode(mask)
