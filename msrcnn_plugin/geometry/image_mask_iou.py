"""IoU of masks at the resolution of the image, as evaluation computes it."""

from __future__ import annotations

import torch
from torch import Tensor

PIXELS_AT_ONCE = 2**16


def mask_intersections(masks: Tensor, others: Tensor) -> Tensor:
    """Counts the pixels that each of ``masks`` shares with each of ``others``.

    Args:
        masks: (R, H, W) bool.
        others: (G, H, W) bool.

    Returns:
        (R, G) float, whole numbers.
    """
    parts = zip(_strips(masks), _strips(others))
    shared = masks.new_zeros((len(masks), len(others)), dtype=torch.float32)
    for strip, other in parts:
        # Sums of up to 2^24 ones are exact in float32; half precision, which autocast would
        # choose, ends at 2^11.
        with torch.autocast(masks.device.type, enabled=False):
            shared += strip.float() @ other.float().T
    return shared


def pairwise_mask_iou(masks: Tensor, others: Tensor) -> Tensor:
    """Computes the IoU (R, G) of masks (R, H, W) bool with others (G, H, W) bool; 0 if empty."""
    shared = mask_intersections(masks, others)
    union = mask_areas(masks)[:, None] + mask_areas(others) - shared
    return shared / union.clamp(min=1)


def mask_areas(masks: Tensor) -> Tensor:
    """Counts the pixels, (R,) float, of each of ``masks`` (R, H, W) bool."""
    return masks.sum((1, 2)).float()


def _strips(masks: Tensor) -> tuple[Tensor, ...]:
    """Splits masks into strips (n, pixels), since all of them as floats would take gigabytes."""
    return masks.flatten(1).split(PIXELS_AT_ONCE, dim=1)
