"""What the ground truth looks like from a RoI: on its grid, and how much of it lies inside."""

from typing import Iterator, NamedTuple, Tuple

import torch
from mmcv.ops import roi_align
from torch import Tensor

from .mask_windows import MaskWindows


class RoIGroundTruth(NamedTuple):
    """The ground-truth masks of ``R`` RoIs.

    Attributes:
        grid: (R, M, M) float in [0, 1], the mask of the RoI's ground truth on the RoI grid.
        coverage: (R,) float in [0, 1], share of that mask's area that lies inside the RoI.
        valid: (R,) bool, False where the ground truth or the RoI has no area; ``coverage`` is 0 there.
    """

    grid: Tensor
    coverage: Tensor
    valid: Tensor


def masks_on_grid(
    windows: MaskWindows, boxes: Tensor, inds: Tensor, size: Tuple[int, int]
) -> Tensor:
    """Ground-truth masks on the grids of RoIs, as mmdet makes its mask targets before it binarises them.

    The grid is RoIAlign (aligned, adaptive sampling) of the mask in the box, clipped to the image. Each mask
    is read where it stands, for all its RoIs; none is copied for a RoI.

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
    for page, rois, slot in _by_page(windows, inds, boxes.device):
        picked = torch.cat([slot[:, None].to(boxes), boxes[rois]], 1)
        pixels = page[:, None].to(boxes)
        grid[rois] = roi_align(pixels, picked, size, 1.0, 0, 'avg', True)[:, 0]
    return grid


def mask_coverage(windows: MaskWindows, boxes: Tensor, inds: Tensor) -> Tuple[Tensor, Tensor]:
    """Share of each RoI's ground-truth mask that lies inside the RoI, exact for fractional box edges.

    Args:
        windows, boxes, inds: as for :func:`masks_on_grid`.

    Returns:
        ``coverage`` (R,) float in [0, 1], and ``valid`` (R,) bool, False where the mask or the RoI's part
        inside the image has no area (``coverage`` is 0 there).
    """
    boxes = _in_windows(windows, boxes, inds)
    inside, whole = boxes.new_zeros(len(boxes)), boxes.new_zeros(len(boxes))
    for page, rois, slot in _by_page(windows, inds, boxes.device):
        inside[rois], whole[rois] = _areas(page, slot, boxes[rois])
    valid = (boxes[:, 2:] > boxes[:, :2]).all(1) & (whole > 0)
    return torch.where(valid, inside / whole.clamp(min=1), 0.0), valid


def clip_boxes(boxes: Tensor, image_size: Tuple[int, int]) -> Tensor:
    """``boxes`` (R, 4) inside the image (H, W); one that lies outside becomes a line on the border."""
    height, width = image_size
    return boxes.clamp(min=0).minimum(boxes.new_tensor([width, height, width, height]))


def _in_windows(windows: MaskWindows, boxes: Tensor, inds: Tensor) -> Tensor:
    """``boxes`` clipped to the image, in pixels of the window of their mask, on the device of the pixels."""
    device = windows.pages[0].device if windows.pages else boxes.device
    origin = windows.origin[inds.cpu()].to(boxes)
    return (clip_boxes(boxes, windows.image_size) - origin.repeat(1, 2)).to(device)


def _by_page(
    windows: MaskWindows, inds: Tensor, device: torch.device
) -> Iterator[Tuple[Tensor, Tensor, Tensor]]:
    """Each page of masks with the RoIs (r,) that look at it and the slot (r,) of each one's mask."""
    inds = inds.cpu()
    for i, page in enumerate(windows.pages):
        rois = (windows.page[inds] == i).nonzero()[:, 0]
        if len(rois):
            yield page, rois.to(device), windows.slot[inds[rois]].to(device)


def _areas(page: Tensor, slot: Tensor, boxes: Tensor) -> Tuple[Tensor, Tensor]:
    """Area of each RoI's mask inside its box, exact for fractional edges, and in all; pixels.

    The integral of a mask over [0, x] x [0, y] is bilinear in x and y within a pixel, so interpolating the
    summed-area table between its corners is not an approximation.
    """
    table = _summed_area_table(page)
    height, width = page.shape[1:]
    x1, y1, x2, y2 = clip_boxes(boxes, (height, width)).unbind(1)

    def integral(x: Tensor, y: Tensor) -> Tensor:
        column, row = x.floor().long().clamp(max=width - 1), y.floor().long().clamp(max=height - 1)
        right, below = (x - column).double(), (y - row).double()

        def corner(down: int, across: int) -> Tensor:
            return table[slot, row + down, column + across].double()

        upper = torch.lerp(corner(0, 0), corner(0, 1), right)
        lower = torch.lerp(corner(1, 0), corner(1, 1), right)
        return torch.lerp(upper, lower, below)

    inside = integral(x2, y2) - integral(x1, y2) - integral(x2, y1) + integral(x1, y1)
    return inside.to(boxes), table[slot, -1, -1].to(boxes)


def _summed_area_table(page: Tensor) -> Tensor:
    """(n, h + 1, w + 1) int32: foreground pixels above and to the left of each grid point."""
    counts = page.cumsum(2, dtype=torch.int32).cumsum_(1)
    return torch.nn.functional.pad(counts, (1, 0, 1, 0))
