"""RoIAlign of masks, one axis after the other.

A cell of RoIAlign is the mean of bilinear samples on a regular grid. So it is a weighted sum of
rows, then of columns. mmcv's op evaluates every sample of every cell: for a RoI of h x w pixels
these are h x w samples of four pixels each. Summing whole rows first costs a row for each of h
samples, at the speed of memory.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def roi_align_masks(masks: Tensor, index: Tensor, boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Computes ``mmcv.ops.roi_align(..., aligned=True, sampling_ratio=0)``, up to rounding.

    Args:
        masks: (n, h, w) masks.
        index: (r,) long, the mask of each RoI.
        boxes: (r, 4) pixels of its mask.
        size: (height, width) of the grid.

    Returns:
        (r, height, width) float in [0, 1].
    """
    n, h, w = masks.shape
    x1, y1, x2, y2 = boxes.unbind(1)
    rows = masks.to(boxes).reshape(n * h, w)
    rows = _resample(rows, index * h, h, y1, y2, size[0])
    columns = rows.transpose(1, 2).reshape(len(index) * w, size[0])
    first_column = torch.arange(0, len(columns), w, device=boxes.device)
    return _resample(columns, first_column, w, x1, x2, size[1]).transpose(1, 2)


def _resample(
    lines: Tensor, first: Tensor, length: int, start: Tensor, end: Tensor, cells: int
) -> Tensor:
    """Resamples each RoI's stack of lines to ``cells`` lines.

    Args:
        lines: (L, e) all lines; a RoI's are ``length`` consecutive ones.
        first: (r,) long, the first of them.
        start, end: (r,) edges of the RoI, in lines from the first.
        cells: lines wanted of each RoI.

    Returns:
        (r, cells, e).
    """
    cell_size = (end - start).clamp(min=0) / cells
    samples = cell_size.ceil().long()  # in each cell, of each RoI
    roi = torch.repeat_interleave(samples * cells)
    index_in_roi = torch.arange(len(roi), device=roi.device) - _starts(samples * cells)[roi]
    count = samples[roi]
    # Sample s of all of a RoI lies at (s + 1/2) / count cells; a line's centre is at + 1/2.
    position = start[roi] - 0.5 + (index_in_roi + 0.5) * (cell_size[roi] / count)
    on_mask = (position >= -1) & (position <= length)
    position = position.clamp(0, length - 1)
    low = position.long()
    share = torch.stack([1 - (position - low), position - low], 1)
    share = share * (on_mask / count)[:, None]
    line = first[roi][:, None] + torch.stack([low, (low + 1).clamp(max=length - 1)], 1)
    in_cell = (2 * samples)[:, None].expand(-1, cells).flatten()
    summed = F.embedding_bag(
        line.flatten(), lines, _starts(in_cell), mode='sum', per_sample_weights=share.flatten()
    )
    return summed.view(len(start), cells, lines.size(1))


def _starts(counts: Tensor) -> Tensor:
    """Computes the start of each of consecutive runs of ``counts``."""
    return counts.cumsum(0) - counts
