"""Ground-truth masks without the empty part of the image around them.

Reading a mask costs as much as what is read of it, and an object fills a fiftieth of its image. Each mask
is cut to a window around its pixels; windows of like size lie in one tensor, so that a batch of masks is a
handful of tensors of bytes, and nothing is as large as the image times its objects.
"""

from typing import List, NamedTuple, Sequence, Tuple

import torch
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

    pages: Tuple[Tensor, ...]
    page: Tensor
    slot: Tensor
    origin: Tensor
    image_size: Tuple[int, int]


def cut_windows(masks: Tensor) -> MaskWindows:
    """Cut each of ``masks`` (G, H, W; any type, not 0 is foreground; on the CPU) to its window.

    A window holds every foreground pixel and, where the image goes on, one background pixel around them:
    whoever interpolates on the window finds what he would find on the image.
    """
    height, width = masks.shape[1:]
    y_first, y_last = _extent(masks.any(2))
    x_first, x_last = _extent(masks.any(1))
    first = torch.stack([x_first, y_first], 1)
    last = torch.stack([x_last, y_last], 1)
    size = last - first
    # Sides between two powers of two share a page: no window has more than twice its width or height.
    page_names, page = torch.unique(_power_of_two(size), dim=0, return_inverse=True)
    pages, slot, origin = [], torch.empty_like(page), torch.empty_like(first)
    for i in range(len(page_names)):
        members = (page == i).nonzero()[:, 0]
        window_w, window_h = size[members].amax(0).tolist()
        limit = first.new_tensor([width - window_w, height - window_h])
        origin[members] = torch.minimum(first[members], limit)
        slot[members] = torch.arange(len(members))
        x, y = origin[members].unbind(1)
        # A view of every window of that size; indexing it copies the wanted ones row by row.
        every_window = masks.unfold(1, window_h, 1).unfold(2, window_w, 1)
        pages.append(every_window[members, y, x] != 0)
    return MaskWindows(tuple(pages), page, slot, origin, (height, width))


def upload_windows(windows: Sequence[MaskWindows], device: torch.device) -> List[MaskWindows]:
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


def _extent(occupied: Tensor) -> Tuple[Tensor, Tensor]:
    """First and last (exclusive) index of the True of each row of (G, L), one wider on each side within [0, L]."""
    length = occupied.size(1)
    occupied = occupied.to(torch.uint8)
    first = occupied.argmax(1)
    last = length - occupied.flip(1).argmax(1)
    # argmax of nothing is 0: an empty mask gets a window of one pixel.
    last = torch.where(occupied.any(1).bool(), last, 1)
    return (first - 1).clamp(min=0), (last + 1).clamp(max=length)


def _power_of_two(size: Tensor) -> Tensor:
    """Exponent of the least power of two that is not below each of ``size``."""
    return size.clamp(min=1).double().log2().ceil().long()
