"""Ground-truth masks without the empty part of the image around them.

Reading a mask costs as much as its pixels, and an object fills a small part of its image. Each mask
is cut to a window around its object. Windows of similar size lie in one tensor, a bucket. A batch
of masks is then a handful of byte tensors, and nothing is as large as image times objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor


class MaskWindows(NamedTuple):
    """The windows of ``G`` masks, in buckets by size.

    Attributes:
        buckets: one (n, h, w) bool tensor for each class of sizes.
        bucket: (G,) long on the CPU, the bucket of each mask.
        index_in_bucket: (G,) long on the CPU.
        origin: (G, 2) long on the CPU, (x, y) of the window's corner in the image.
        image_size: (H, W).
    """

    buckets: tuple[Tensor, ...]
    bucket: Tensor
    index_in_bucket: Tensor
    origin: Tensor
    image_size: tuple[int, int]


def cut_windows(masks: np.ndarray) -> MaskWindows:
    """Cuts each of mmdet's ``masks`` (G, H, W; any type, not 0 is foreground) to its window.

    A window holds every foreground pixel. Where the image continues, it also holds a background
    pixel around them. Bilinear sampling in the window then equals sampling in the image.
    """
    height, width = masks.shape[1:]
    occupied = torch.from_numpy(masks)
    y_first, y_last = _extent(occupied.any(2).bool())
    x_first, x_last = _extent(occupied.any(1).bool())
    first, last = torch.stack([x_first, y_first], 1), torch.stack([x_last, y_last], 1)
    sizes = last - first
    names, bucket = torch.unique(_size_class(sizes), return_inverse=True)
    buckets, index, origin = [], torch.empty_like(bucket), torch.empty_like(first)
    for i in range(len(names)):
        members = (bucket == i).nonzero()[:, 0]
        window_w, window_h = sizes[members].amax(0).tolist()
        limit = first.new_tensor([width - window_w, height - window_h])
        origin[members] = torch.minimum(first[members], limit)
        index[members] = torch.arange(len(members))
        x, y = origin[members].T.numpy()
        # A view of every window of that size. The wanted ones are copied from it row by row.
        every_window = sliding_window_view(masks, (window_h, window_w), axis=(1, 2))
        chosen = every_window[members.numpy(), y, x] != 0
        # Masks decoded from RLE lie column by column in memory, and so do their windows.
        buckets.append(torch.from_numpy(np.ascontiguousarray(chosen)))
    return MaskWindows(tuple(buckets), bucket, index, origin, (height, width))


def upload_windows(windows: Sequence[MaskWindows], device: torch.device) -> list[MaskWindows]:
    """Moves the windows of several images to ``device`` in one transfer of bytes."""
    if torch.device(device).type == 'cpu':
        return list(windows)
    buckets = [bucket for image in windows for bucket in image.buckets]
    if not buckets:
        return list(windows)
    buffer = torch.cat([bucket.flatten() for bucket in buckets]).to(device)
    chunks = iter(buffer.split([bucket.numel() for bucket in buckets]))
    return [
        image._replace(buckets=tuple(next(chunks).view(bucket.shape) for bucket in image.buckets))
        for image in windows
    ]


def paste_windows(windows: MaskWindows, device: str | torch.device) -> Tensor:
    """Restores the whole masks, (G, H, W) bool on ``device``; fast if the windows are there."""
    masks = torch.zeros(
        len(windows.index_in_bucket),
        *windows.image_size,
        dtype=torch.bool,
        device=torch.device(device),
    )
    for i, bucket in enumerate(windows.buckets):
        members = (windows.bucket == i).nonzero()[:, 0]  # in the order of their indices
        x, y = windows.origin[members].to(device).T[..., None, None]
        rows = y + torch.arange(bucket.size(1), device=device)[:, None]
        columns = x + torch.arange(bucket.size(2), device=device)
        masks[members.to(device)[:, None, None], rows, columns] = bucket.to(device)
    return masks


def _extent(occupied: Tensor) -> tuple[Tensor, Tensor]:
    """Finds the first and last (exclusive) True of each row of (G, L), widened by 1 within L."""
    length = occupied.size(1)
    marks = occupied.byte()
    first = marks.argmax(1)
    # argmax of nothing is 0: an empty mask gets a window of a pixel or two.
    last = torch.where(occupied.any(1), length - marks.flip(1).argmax(1), 1)
    return (first - 1).clamp(min=0), (last + 1).clamp(max=length)


def _size_class(sizes: Tensor) -> Tensor:
    """Numbers (G,) the sizes (width, height); each power of four of a side is another class.

    A bucket costs a few calls and has the size of its largest window. Classes of this width keep
    both the buckets and the empty pixels few.
    """
    width, height = sizes.double().log2().div(2).ceil().long().T
    return 32 * width + height
