"""The ground truth of a RoI: its mask on the RoI grid, and the share of it inside the RoI."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from .mask_windows import MaskWindows
from .separable_roi_align import roi_align_masks


class RoIGroundTruth(NamedTuple):
    """The ground-truth masks of ``R`` RoIs.

    Attributes:
        grid: (R, M, M) float in [0, 1], the mask of the RoI's ground truth on the RoI grid.
        coverage: (R,) float in [0, 1], share of that mask's area that lies inside the RoI.
        valid: (R,) bool, False where the ground truth or the RoI has no area; ``coverage`` is 0
            there.
    """

    grid: Tensor
    coverage: Tensor
    valid: Tensor


def masks_on_grid(
    windows: MaskWindows, boxes: Tensor, inds: Tensor, size: tuple[int, int]
) -> Tensor:
    """Resamples ground-truth masks on RoI grids: mmdet's mask targets before binarisation.

    The grid is RoIAlign (aligned, adaptive sampling) of the mask in the box, clipped to the image.
    Each mask is read in place for all its RoIs. None is copied for a RoI.

    Args:
        windows: the ``G`` masks of one image.
        boxes: (R, 4) input pixels.
        inds: (R,) long in [0, G), the ground truth of each RoI.
        size: (height, width) of the grid.

    Returns:
        (R, height, width) float in [0, 1], on the device of the windows' pixels.
    """
    boxes = _in_windows(windows, boxes, inds)
    grid = boxes.new_zeros((len(boxes), *size))
    for masks, rois, index in _by_bucket(windows, inds, boxes.device):
        grid[rois] = roi_align_masks(masks, index, boxes[rois], size)
    return grid


def mask_coverage(windows: MaskWindows, boxes: Tensor, inds: Tensor) -> tuple[Tensor, Tensor]:
    """Computes the share of each RoI's ground-truth mask inside the RoI.

    It is exact for fractional box edges.

    Args:
        windows, boxes, inds: as for :func:`masks_on_grid`.

    Returns:
        ``coverage`` (R,) float in [0, 1], and ``valid`` (R,) bool, False where the mask or the
        RoI's part inside the image has no area (``coverage`` is 0 there).
    """
    boxes = _in_windows(windows, boxes, inds)
    inside, whole = boxes.new_zeros(len(boxes)), boxes.new_zeros(len(boxes))
    for masks, rois, index in _by_bucket(windows, inds, boxes.device):
        inside[rois], whole[rois] = _areas(masks, index, boxes[rois])
    valid = (boxes[:, 2:] > boxes[:, :2]).all(1) & (whole > 0)
    return torch.where(valid, inside / whole.clamp(min=1), 0.0), valid


def clip_boxes(boxes: Tensor, image_size: tuple[int, int]) -> Tensor:
    """Clips ``boxes`` (R, 4) to the image (H, W); a box outside becomes a line on the border."""
    height, width = image_size
    return boxes.clamp(min=0).minimum(boxes.new_tensor([width, height, width, height]))


def _in_windows(windows: MaskWindows, boxes: Tensor, inds: Tensor) -> Tensor:
    """Clips ``boxes`` and moves them to pixels of their mask's window, on the pixels' device."""
    device = windows.buckets[0].device if windows.buckets else boxes.device
    origin = windows.origin[inds.cpu()].to(boxes)
    return (clip_boxes(boxes, windows.image_size) - origin.repeat(1, 2)).to(device)


def _by_bucket(
    windows: MaskWindows, inds: Tensor, device: torch.device
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yields of each bucket the masks that RoIs need, those RoIs (r,) and the mask of each (r,)."""
    inds = inds.cpu()
    for i, bucket in enumerate(windows.buckets):
        rois = (windows.bucket[inds] == i).nonzero()[:, 0]
        if len(rois):
            used, place = windows.index_in_bucket[inds[rois]].unique(return_inverse=True)
            masks = bucket if len(used) == len(bucket) else bucket[used.to(device)]
            yield masks, rois.to(device), place.to(device)


def _areas(masks: Tensor, index: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Computes the area (r,) of each RoI's mask inside its box, and of the whole mask."""
    height, width = masks.shape[1:]
    # Pixels of each column above each row: linear in y within a pixel, so interpolation is exact.
    above = masks.new_zeros((len(masks), height + 1, width), dtype=torch.int32)
    above[:, 1:] = masks
    above.cumsum_(1)  # in place: a copy would be the most memory that a step's targets take
    x1, y1, x2, y2 = clip_boxes(boxes, (height, width)).unbind(1)
    columns = _at_height(above, index, y2) - _at_height(above, index, y1)
    pixel = torch.arange(width, device=boxes.device)
    inside_x = (torch.minimum(x2[:, None], pixel + 1) - torch.maximum(x1[:, None], pixel)).clamp(
        min=0
    )
    return (columns * inside_x).sum(1), above[:, -1].sum(1)[index].to(boxes)


def _at_height(above: Tensor, index: Tensor, y: Tensor) -> Tensor:
    """Interpolates rows (r, w) of ``above`` (n, h + 1, w) at the fractional heights ``y`` (r,)."""
    row = y.long().clamp(max=above.size(1) - 2)
    return torch.lerp(above[index, row].to(y), above[index, row + 1].to(y), (y - row)[:, None])
