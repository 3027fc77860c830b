"""Which detection takes which ground truth under one ranking, by IoU threshold and object size.

COCO's rule: within a category of an image the detections choose in the order of their scores. Each
takes, among the ground truths still free whose IoU reaches the threshold, one that counts rather
than one to be ignored (a crowd, or an object outside the size range), then the largest IoU, then
the later one. A crowd is never used up.

The groups do not touch each other, so the first detections of all groups choose at once, then all
the second ones, and so on: a *round*. Shapes: ``A`` size ranges, ``I`` IoU thresholds, ``N``
detections, ``G`` ground truths, ``P`` pairs, ``R`` pairs of one round.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .matching import HIGHEST_THRESHOLD, Overlaps


@dataclass(frozen=True)
class Assignment:
    """``hit`` (A, I, N): took a ground truth. ``ignored`` (A, I, N): neither right nor wrong."""

    hit: NDArray[np.bool_]
    ignored: NDArray[np.bool_]


def rank_in_group(scores: NDArray, groups: NDArray) -> NDArray[np.int64]:
    """Place of each detection among those of its group, (N,) from 0; equal scores keep their order.

    Example:
        >>> rank_in_group(np.array([.1, .9, .9, .5]), np.array([0, 0, 0, 1])).tolist()
        [2, 0, 1, 0]
    """
    order = np.lexsort((-scores, groups))
    sorted_groups = groups[order]
    ranks = np.empty(len(scores), dtype=np.int64)
    ranks[order] = np.arange(len(scores)) - np.searchsorted(sorted_groups, sorted_groups)
    return ranks


def outside(areas: NDArray, area_ranges: NDArray) -> NDArray[np.bool_]:
    """(A, n): does the area lie outside the range; both ends belong to the range."""
    return (areas < area_ranges[:, :1]) | (areas > area_ranges[:, 1:])


def assign(
    overlaps: Overlaps, ranks: NDArray, iou_thresholds: NDArray, area_ranges: NDArray, max_det: int
) -> Assignment:
    """Lets the detections of rank below ``max_det`` choose.

    Args:
        ranks: (N,) from `rank_in_group`.
        iou_thresholds: (I,).
        area_ranges: (A, 2) in pixels.
    """
    shape = (len(area_ranges), len(iou_thresholds), len(ranks))
    hit, ignored = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    to_ignore = overlaps.truth_crowd | outside(overlaps.truth_area, area_ranges)
    taken = np.zeros(shape[:2] + overlaps.truth_crowd.shape, dtype=bool)
    thresholds = np.minimum(iou_thresholds, HIGHEST_THRESHOLD)[:, None]
    for pairs in _rounds(overlaps, ranks, max_det):
        detections, truths = overlaps.pair_detection[pairs], overlaps.pair_truth[pairs]
        is_free = ~taken[:, :, truths] | overlaps.truth_crowd[truths]
        eligible = is_free & (overlaps.pair_iou[pairs] >= thresholds)
        first = np.flatnonzero(np.diff(detections, prepend=-1))
        choice, chosen = _choose(eligible, to_ignore[:, None, truths], first)
        taken[:, :, truths] |= chosen
        found = choice >= 0
        choosers = detections[first]
        hit[:, :, choosers] = found & ~overlaps.truth_id_is_zero[truths[choice]]
        ignored[:, :, choosers] = found & _at(to_ignore[:, truths], choice)
    ignored |= ~hit & outside(overlaps.detection_area, area_ranges)[:, None]
    return Assignment(hit, ignored)


def _rounds(overlaps: Overlaps, ranks: NDArray, max_det: int) -> list[NDArray]:
    """The pairs of each round; those of a detection by IoU, then position, best last."""
    pair_rank = ranks[overlaps.pair_detection]
    order = np.lexsort((overlaps.pair_truth, overlaps.pair_iou, overlaps.pair_detection, pair_rank))
    order = order[pair_rank[order] < max_det]
    starts = np.flatnonzero(np.diff(pair_rank[order], prepend=-1))
    return np.split(order, starts[1:]) if len(order) else []


def _choose(
    eligible: NDArray[np.bool_], to_ignore: NDArray[np.bool_], first: NDArray
) -> tuple[NDArray, NDArray]:
    """The last eligible pair of each detection, pairs to be ignored only where there is no other.

    Args:
        eligible: (A, I, R).
        to_ignore: (A, 1, R).
        first: (D,) where the pairs of each detection begin.

    Returns:
        (A, I, D) position of the chosen pair or -1, and (A, I, R) True at the chosen pairs.
    """
    pair_count = eligible.shape[-1]
    wish = np.arange(pair_count) + pair_count * ~to_ignore
    wish = np.where(eligible, wish, -1)
    best = np.maximum.reduceat(wish, first, axis=-1)
    repeats = np.diff(np.append(first, pair_count))
    chosen = eligible & (wish == np.repeat(best, repeats, axis=-1))
    return np.where(best < 0, -1, best % pair_count), chosen


def _at(table: NDArray, position: NDArray) -> NDArray:
    """``table[a, position[a, i, d]]`` for a table (A, R)."""
    return table[np.arange(len(table))[:, None, None], position]
