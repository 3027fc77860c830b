"""IoU of masks at the resolution of the image, as evaluation sees them."""

import torch
from torch import Tensor

PIXELS_AT_ONCE = 2**16


def mask_intersections(masks: Tensor, others: Tensor) -> Tensor:
    """Pixels that each of ``masks`` shares with each of ``others``.

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
    """(R, G) IoU of ``masks`` (R, H, W) bool with ``others`` (G, H, W) bool; 0 for empty ones."""
    shared = mask_intersections(masks, others)
    union = mask_areas(masks)[:, None] + mask_areas(others) - shared
    return shared / union.clamp(min=1)


def mask_areas(masks: Tensor) -> Tensor:
    """(R,) float, the pixels of each of ``masks`` (R, H, W) bool."""
    return masks.sum((1, 2)).float()


def _strips(masks: Tensor) -> tuple[Tensor, ...]:
    """(n, pixels) at a time of all masks, which as floats would take gigabytes."""
    return masks.flatten(1).split(PIXELS_AT_ONCE, dim=1)
