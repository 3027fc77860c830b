"""Two more measures of detections: the LRP error, and LaECE, a calibration error that counts IoU.

Both count detections as AP does: at one IoU threshold a detection is a true positive, a false
positive (duplicates too), or ignored. They are computed for each category that has an object, and
averaged. ``N`` detections, ``K`` categories.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .assignment import assign, rank_in_group
from .matches import Matches
from .rankings import main_limit
from .reliability import check_unit_interval

LAECE_BINS = 25


@dataclass(frozen=True)
class OptimalLRP:
    """The LRP error at the best score threshold of each category, averaged; lower is better.

    ``localisation`` is the mean 1 - IoU of true positives, ``false_positives`` 1 - precision,
    ``false_negatives`` 1 - recall, all at those thresholds. NaN where undefined.
    """

    error: float
    localisation: float
    false_positives: float
    false_negatives: float
    thresholds: dict[str, float]  # by the name of the category; NaN where keeping nothing is best


def optimal_lrp(
    matches: Matches, scores: str | ArrayLike, iou_threshold: float = 0.5
) -> OptimalLRP:
    """Computes oLRP (Oksuz et al., arXiv 2011.10772).

    Of the detections kept by a threshold, with ``t`` the IoU threshold::

        LRP = (sum over true positives of (1 - IoU) / (1 - t) + FP + FN) / (TP + FP + FN)

    Args:
        scores: a name that `Matches.ranking_scores` takes, or (N,) finite.
        iou_threshold: below 1, and at least the lowest of the matches' protocol.
    """
    values, iou, counts = _outcomes(matches, scores, iou_threshold)
    rows, thresholds = [], {}
    for category, objects, members in _categories(matches, values, counts):
        # Detections of one score are kept together.
        last = np.flatnonzero(np.diff(values[members], append=-np.inf))
        tp = _kept(iou[members] > 0, last)
        fp = np.concatenate([[0], last + 1]) - tp
        missed = _kept(np.where(iou[members] > 0, 1 - iou[members], 0), last)
        errors = (missed / (1 - iou_threshold) + fp + objects - tp) / (fp + objects)
        best = int(np.argmin(errors))
        rows.append(
            (
                errors[best],
                missed[best] / tp[best] if tp[best] else math.nan,
                fp[best] / (fp[best] + tp[best]) if best else math.nan,
                1 - tp[best] / objects,
            )
        )
        score = values[members[last[best - 1]]] if best else math.nan
        thresholds[matches.category_names[category]] = float(score)
    error, localisation, false_positives, false_negatives = (
        _mean(column) for column in np.array(rows).reshape(-1, 4).T
    )
    return OptimalLRP(error, localisation, false_positives, false_negatives, thresholds)


def localisation_aware_ece(
    matches: Matches,
    scores: str | ArrayLike,
    iou_threshold: float = 0.5,
    bins: int = LAECE_BINS,
) -> float:
    """Computes LaECE (Oksuz et al., arXiv 2307.00934, equation 4).

    A score should be precision times IoU. In equal bins of the score, of each category::

        LaECE = sum_b n_b / n * |mean score in b - precision in b * mean IoU of true positives in b|

    Args:
        scores: a name that `Matches.ranking_scores` takes, or (N,), in [0, 1].
        iou_threshold: at least the lowest of the matches' protocol.

    Returns:
        the mean over the categories that have objects and detections; NaN where there is none.
    """
    values, iou, counts = _outcomes(matches, scores, iou_threshold)
    check_unit_interval(values)
    # Bins are open below and closed above, the first one closed.
    bin_of = np.maximum(np.digitize(values, np.linspace(0, 1, bins + 1), right=True) - 1, 0)
    errors = []
    for _, _, members in _categories(matches, values, counts):
        if len(members):
            # n_b times the difference of the means is the difference of the sums.
            gaps = np.bincount(bin_of[members], weights=values[members] - iou[members])
            errors.append(np.abs(gaps).sum() / len(members))
    return _mean(np.array(errors))


def _outcomes(
    matches: Matches, scores: str | ArrayLike, iou_threshold: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Scores (N,); IoU (N,) of true positives with their object, 0 of others; what counts (N,)."""
    values = matches.checked(scores)
    lowest = matches.protocol.iou_thresholds.min()
    if not lowest <= iou_threshold < 1:
        raise ValueError(
            f'an IoU threshold of {iou_threshold}; these matches were made for {lowest} and above, '
            'below 1'
        )
    ranks = rank_in_group(values, matches.group)
    everything = np.array([[0, np.inf]])
    limit = main_limit(matches.protocol.max_dets)
    found = assign(matches, ranks, np.array([iou_threshold]), everything, limit)
    pair, ignored = found.pair[0, 0], found.ignored[0, 0]
    is_true = (pair >= 0) & ~ignored
    iou = np.zeros(len(matches))
    iou[is_true] = matches.pair_iou[pair[is_true]]
    return values, iou, ~ignored & (ranks < limit)


def _categories(
    matches: Matches, values: NDArray, counts: NDArray[np.bool_]
) -> Iterator[tuple[int, int, NDArray[np.int64]]]:
    """Yields each category that has objects, their number, and what counts of it, best first."""
    objects = np.bincount(matches.gt_category[~matches.gt_crowd])
    order = np.lexsort((-values, matches.category))
    order = order[counts[order]]
    present = np.flatnonzero(objects)
    starts, stops = (
        np.searchsorted(matches.category[order], present, s) for s in ('left', 'right')
    )
    for category, start, stop in zip(present, starts, stops):
        yield int(category), int(objects[category]), order[start:stop]


def _kept(amounts: NDArray, last: NDArray) -> NDArray[np.float64]:
    """The sum of what each threshold keeps, from nothing on."""
    return np.concatenate([[0.0], np.cumsum(amounts, dtype=float)[last]])


def _mean(values: NDArray) -> float:
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else math.nan
