"""Ground-truth masks without the empty part of the image around them.

Reading a mask costs as much as what is read of it, and an object fills a small part of its image.
Each mask is cut to a window around its pixels; windows of like size lie in one tensor, so that a
batch of masks is a handful of tensors of bytes, and nothing is as large as the image times its
objects.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor


class MaskWindows(NamedTuple):
    """The windows of ``G`` masks.

    Attributes:
        pages: one (n, h, w) bool tensor for each class of sizes.
        page: (G,) long on the CPU, the tensor of ``pages`` that holds a mask.
        slot: (G,) long on the CPU, its place in there.
        origin: (G, 2) long on the CPU, (x, y) of the window's corner in the image.
        image_size: (H, W).
    """

    pages: tuple[Tensor, ...]
    page: Tensor
    slot: Tensor
    origin: Tensor
    image_size: tuple[int, int]


def cut_windows(masks: np.ndarray) -> MaskWindows:
    """Cut each of mmdet's ``masks`` (G, H, W; any type, not 0 is foreground) to its window.

    A window holds every foreground pixel and, where the image goes on, one background pixel around
    them: whoever interpolates on the window finds what he would find on the image.
    """
    height, width = masks.shape[1:]
    occupied = torch.from_numpy(masks)
    y_first, y_last = _extent(occupied.any(2).bool())
    x_first, x_last = _extent(occupied.any(1).bool())
    first, last = torch.stack([x_first, y_first], 1), torch.stack([x_last, y_last], 1)
    sizes = last - first
    names, page = torch.unique(_size_class(sizes), return_inverse=True)
    pages, slot, origin = [], torch.empty_like(page), torch.empty_like(first)
    for i in range(len(names)):
        members = (page == i).nonzero()[:, 0]
        window_w, window_h = sizes[members].amax(0).tolist()
        limit = first.new_tensor([width - window_w, height - window_h])
        origin[members] = torch.minimum(first[members], limit)
        slot[members] = torch.arange(len(members))
        x, y = origin[members].T.numpy()
        # A view of every window of that size, from which the wanted ones are copied row by row.
        every_window = sliding_window_view(masks, (window_h, window_w), axis=(1, 2))
        chosen = every_window[members.numpy(), y, x] != 0
        # Masks decoded from RLE lie column by column, and so would what is cut from them.
        pages.append(torch.from_numpy(np.ascontiguousarray(chosen)))
    return MaskWindows(tuple(pages), page, slot, origin, (height, width))


def upload_windows(windows: Sequence[MaskWindows], device: torch.device) -> list[MaskWindows]:
    """Bring the windows of several images to ``device`` in one transfer of bytes."""
    if torch.device(device).type == 'cpu':
        return list(windows)
    pages = [page for image in windows for page in image.pages]
    if not pages:
        return list(windows)
    buffer = torch.cat([page.flatten() for page in pages]).to(device)
    chunks = iter(buffer.split([page.numel() for page in pages]))
    return [
        image._replace(pages=tuple(next(chunks).view(page.shape) for page in image.pages))
        for image in windows
    ]


def paste_windows(windows: MaskWindows, device: torch.device) -> Tensor:
    """The whole masks again, (G, H, W) bool on ``device``; fast where the windows are there."""
    masks = torch.zeros(
        len(windows.slot), *windows.image_size, dtype=torch.bool, device=torch.device(device)
    )
    for i, page in enumerate(windows.pages):
        members = (windows.page == i).nonzero()[:, 0]  # in the order of their slots
        x, y = windows.origin[members].to(device).T[..., None, None]
        rows = y + torch.arange(page.size(1), device=device)[:, None]
        columns = x + torch.arange(page.size(2), device=device)
        masks[members.to(device)[:, None, None], rows, columns] = page.to(device)
    return masks


def _extent(occupied: Tensor) -> tuple[Tensor, Tensor]:
    """First and last (exclusive) True of each row of (G, L), one wider on each side within L."""
    length = occupied.size(1)
    marks = occupied.byte()
    first = marks.argmax(1)
    # argmax of nothing is 0: an empty mask gets a window of a pixel or two.
    last = torch.where(occupied.any(1), length - marks.flip(1).argmax(1), 1)
    return (first - 1).clamp(min=0), (last + 1).clamp(max=length)


def _size_class(sizes: Tensor) -> Tensor:
    """A number (G,) for each (width, height): a power of four of either side makes another class.

    A page costs a few calls and has the size of its largest window: few classes, little empty.
    """
    width, height = sizes.double().log2().div(2).ceil().long().T
    return 32 * width + height
