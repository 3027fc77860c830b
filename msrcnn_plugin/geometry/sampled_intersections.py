"""Areas that the masks of an image's detections share, without reading every pixel of every mask.

Counting in whole images costs as much as a MaskIoU head, for 100 masks of 800 x 1333 pixels. A mask
lies in its box. So pixels are counted only where two boxes overlap, and in a large overlap only
those of an even grid.
"""

from __future__ import annotations

from math import isqrt

import torch
from torch import Tensor

POINTS = 6000  # looked at for each detection, so that the cost grows with them as a head's does
SIDES = (8, 32)  # of the grid, at least and at most
POINTS_AT_ONCE = 2**22  # bounds the memory


def sampled_intersections(masks: Tensor, boxes: Tensor) -> Tensor:
    """Estimates the pixels that each two masks share; on the diagonal, the areas.

    The number is exact where the boxes' overlap is not larger than the grid. The grid's side is
    between 8 and 32 pixels. It is 32 until a detection has six neighbours on average.

    Args:
        masks: (N, H, W) bool, False outside their boxes.
        boxes: (N, 4) x1, y1, x2, y2 in pixels of the masks.

    Returns:
        (N, N) float32, symmetric.
    """
    height, width = masks.shape[1:]
    boxes = boxes.float()
    first = boxes[:, :2].floor().clamp(min=0)
    last = torch.minimum(boxes[:, 2:].ceil(), boxes.new_tensor([width, height]))
    corners = torch.maximum(first[:, None], first)
    sizes = torch.minimum(last[:, None], last) - corners
    rows, columns = (sizes.amin(2) > 0).triu().nonzero().T
    side = min(max(isqrt(POINTS * len(masks) // max(len(rows), 1)), SIDES[0]), SIDES[1])
    flat, image = masks.flatten(), height * width
    shared = sizes.new_zeros(sizes.shape[:2])
    for i, j in zip(*(index.split(POINTS_AT_ONCE // side**2) for index in (rows, columns))):
        pixels, counted = _grid(corners[i, j], sizes[i, j], side, width)
        both = counted.flatten()
        for index in (i, j):
            # index_select is several times as fast as an index in brackets.
            both = both & flat.index_select(0, (pixels + index[:, None] * image).flatten())
        pixels_each = sizes[i, j].prod(1) / counted.sum(1)  # exactly 1 in a small window
        shared[i, j] = shared[j, i] = both.view_as(counted).sum(1) * pixels_each
    return shared


def _grid(corners: Tensor, sizes: Tensor, side: int, width: int) -> tuple[Tensor, Tensor]:
    """Spreads pixels evenly over windows; over all of a window that is not larger than the grid.

    Args:
        corners, sizes: (P, 2) whole numbers, (x, y) and (width, height) of the windows.
        side: pixels along each side of the grid.
        width: of the image.

    Returns:
        Flat indices (P, side²) long of pixels in the image, and whether each counts, bool.
    """
    steps = torch.arange(side, device=sizes.device)
    sizes, corners = sizes[..., None], corners[..., None]
    amount = sizes.clamp(max=side)
    places = ((steps + 0.5) * (sizes / amount)).floor().minimum(sizes - 1)
    (x, y), inside = (corners + places).long().unbind(1), steps < amount
    pixels = y[:, :, None] * width + x[:, None]
    return pixels.flatten(1), (inside[:, 1, :, None] & inside[:, 0, None]).flatten(1)
