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
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .matches import Matches

# COCOeval accepts a pair at threshold 1 when its IoU reaches this.
HIGHEST_THRESHOLD = 1 - 1e-10


@dataclass(frozen=True)
class Assignment:
    """``pair`` (A, I, N): index of the pair that a detection took, -1 for none.

    ``ignored`` (A, I, N): counts as neither. A true positive is matched and not ignored, a false
    positive is neither of both.
    """

    pair: NDArray[np.int32]
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
    matches: Matches, ranks: NDArray, iou_thresholds: NDArray, area_ranges: NDArray, max_det: int
) -> Assignment:
    """Lets the detections of rank below ``max_det`` choose.

    Args:
        ranks: (N,) from `rank_in_group`.
        iou_thresholds: (I,).
        area_ranges: (A, 2) in pixels.
    """
    shape = (len(area_ranges), len(iou_thresholds), len(ranks))
    taken_pair, ignored = np.full(shape, -1, dtype=np.int32), np.zeros(shape, dtype=bool)
    to_ignore = matches.gt_crowd | outside(matches.gt_area, area_ranges)
    taken = np.zeros(shape[:2] + matches.gt_crowd.shape, dtype=bool)
    thresholds = np.minimum(iou_thresholds, HIGHEST_THRESHOLD)[:, None]
    for pairs in _rounds(matches, ranks, max_det):
        detections, gts = matches.pair_detection[pairs], matches.pair_gt[pairs]
        is_free = ~taken[:, :, gts] | matches.gt_crowd[gts]
        eligible = is_free & (matches.pair_iou[pairs] >= thresholds)
        first = np.flatnonzero(np.diff(detections, prepend=-1))
        choice, chosen = _choose(eligible, to_ignore[:, None, gts], first)
        taken[:, :, gts] |= chosen
        found = choice >= 0
        choosers = detections[first]
        counted = found & ~matches.gt_id_is_zero[gts[choice]]
        taken_pair[:, :, choosers] = np.where(counted, pairs[choice], -1)
        ignored[:, :, choosers] = found & _at(to_ignore[:, gts], choice)
    may_ignore = outside(matches.area, area_ranges) | matches.not_exhaustive
    ignored |= (taken_pair < 0) & may_ignore[:, None]
    return Assignment(taken_pair, ignored)


def _rounds(matches: Matches, ranks: NDArray, max_det: int) -> list[NDArray]:
    """The pairs of each round; those of a detection by IoU, then position, best last."""
    pair_rank = ranks[matches.pair_detection]
    order = np.lexsort((matches.pair_gt, matches.pair_iou, matches.pair_detection, pair_rank))
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
