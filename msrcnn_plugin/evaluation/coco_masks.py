"""Checks the masks of COCO files and brings them to the forms that pycocotools reads alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as mask_utils

from .coco_schema import shown

# Masks whose runs are checked at once: as many as a processor's cache takes.
_CHUNK = 300


def clean_masks(items: Sequence[dict], sizes: Sequence[tuple[int, int]]) -> dict[int, str]:
    """Cleans each entry's ``segmentation`` in place: polygons, or RLE with ``counts`` as text.

    Parts of fewer than three points are left out where a good part stands beside them.

    Args:
        sizes: height and width of each entry's image.

    Returns:
        Of each entry that cannot be read, by its position: the problem.
    """
    problems: dict[int, str] = {}
    encoded: list[int] = []
    for position, (item, size) in enumerate(zip(items, sizes)):
        segmentation = item['segmentation']
        if isinstance(segmentation, list):
            problem = _polygon_problem(segmentation, *size)
            if problem:
                problems[position] = problem
            elif min(map(len, segmentation)) < 6:
                item['segmentation'] = [part for part in segmentation if len(part) >= 6]
        elif tuple(segmentation['size']) != size:
            problems[position] = (
                f'`segmentation.size` is {segmentation["size"]}, '
                f"expected the image's height and width {list(size)}"
            )
        elif isinstance(segmentation['counts'], list) and sum(segmentation['counts']) != (
            size[0] * size[1]
        ):
            problems[position] = _runs_problem(segmentation['counts'], size[0] * size[1])
        else:
            if isinstance(segmentation['counts'], list):
                rle = mask_utils.frPyObjects(segmentation, *size)
                segmentation['counts'] = rle['counts'].decode()
            encoded.append(position)
    for start in range(0, len(encoded), _CHUNK):
        chunk = encoded[start : start + _CHUNK]
        counts = [items[position]['segmentation']['counts'] for position in chunk]
        pixels = np.array([sizes[position][0] * sizes[position][1] for position in chunk])
        valid, zero_runs = check_runs(counts, pixels)
        for index in np.flatnonzero(~valid):
            problems[chunk[index]] = _runs_problem(counts[index], pixels[index])
        for index in np.flatnonzero(valid & zero_runs):
            # pycocotools' IoU stops where two masks have an empty run at one place.
            rle = items[chunk[index]]['segmentation']
            rle['counts'] = mask_utils.encode(mask_utils.decode(rle))['counts'].decode()
    return dict(sorted(problems.items()))


def compressed(segmentation: Any, size: tuple[int, int]) -> dict[str, Any]:
    """Returns the RLE, with ``counts`` as text, of a cleaned ``segmentation``."""
    if isinstance(segmentation, dict):
        return segmentation
    rle = mask_utils.merge(mask_utils.frPyObjects(segmentation, *size))
    return {'size': list(size), 'counts': rle['counts'].decode()}


def check_runs(
    counts: Sequence[str], pixels: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Checks compressed run lengths, which pycocotools decodes without a check.

    A character holds 5 bits and a flag that more follow; from the fourth run on, a run is stored as
    the difference to the run two before it.

    Args:
        counts: of each mask, not empty.
        pixels: (N,) of each mask's image.

    Returns:
        (N,) whether the runs are not negative and add up to the pixels; (N,) whether any but the
        first is 0.
    """
    counts = [text if text.isascii() else '\0' for text in counts]
    lengths = np.fromiter(map(len, counts), np.int64, len(counts))
    ends = np.cumsum(lengths)
    starts = ends - lengths
    codes = np.frombuffer(''.join(counts).encode(), np.uint8) - np.uint8(48)
    valid = (np.maximum.reduceat(codes, starts) < 64) & (codes[ends - 1] < 32)
    is_last = (codes & 32) == 0
    is_last[ends - 1] = True

    # The last of a run's characters holds its highest bits, and their highest the sign.
    last = np.flatnonzero(is_last)
    digits = np.diff(last, prepend=-1)
    runs = ((codes[last] & 31) ^ 16).astype(np.int64) - 16
    for digit in range(1, min(int(digits.max()), 8)):
        longer = np.flatnonzero(digits > digit)
        runs[longer] = (runs[longer] << 5) | (codes[last[longer] - digit] & 31)

    heads = np.searchsorted(last, starts)
    valid &= np.maximum.reduceat(digits, heads) < 8
    amount = np.diff(heads, append=len(runs))
    _add_differences(runs, heads, amount)
    valid &= np.minimum.reduceat(runs, heads) >= 0
    valid &= np.add.reduceat(runs, heads) == pixels
    empty = runs == 0
    empty[heads] = False
    return valid, np.logical_or.reduceat(empty, heads)


def _add_differences(
    runs: NDArray[np.int64], heads: NDArray[np.int64], amount: NDArray[np.int64]
) -> None:
    """Turns differences into runs, in place; mask ``n`` has ``amount[n]`` from ``heads[n]`` on."""
    pairs = (amount + 1) // 2
    first = np.cumsum(pairs) - pairs
    places = np.arange(len(runs)) + np.repeat(2 * first - heads, amount)
    grid = np.zeros((pairs.sum(), 2), np.int64)
    grid.ravel()[places] = runs
    grid[first, 0] = 0  # the first run is no part of the chain of those at even places
    sums = np.cumsum(grid, axis=0)
    sums -= np.repeat(sums[first] - grid[first], pairs, axis=0)
    sums[first, 0] = runs[heads]
    runs[:] = sums.ravel()[places]


def _runs_problem(counts: str | list[int], pixels: int) -> str:
    return (
        f'`segmentation.counts` is {shown(counts)}, '
        f"expected runs that add up to the image's {pixels} pixels"
    )


def _polygon_problem(parts: list[list[float]], height: int, width: int) -> str | None:
    if not parts or max(map(len, parts)) < 6:
        return f'`segmentation` is {shown(parts)}, expected a polygon of three points or more'
    for index, part in enumerate(parts):
        if len(part) % 2:
            count = f'`segmentation[{index}]` is a list of {len(part)} numbers'
            return f'{count}, expected pairs of x and y'
    if any(_touches(part, height, width) for part in parts):
        return None
    x, y = parts[0][:2]
    return (
        f'`segmentation` is a polygon at ({x:g}, {y:g}), expected one that touches the image of '
        f'{width} x {height} pixels: is the image rotated?'
    )


def _touches(part: list[float], height: int, width: int) -> bool:
    if len(part) >= 2 and 0 <= part[0] <= width and 0 <= part[1] <= height:
        return True
    x, y = part[::2], part[1::2]
    return len(part) >= 6 and min(x) <= width and max(x) >= 0 and min(y) <= height and max(y) >= 0
