"""Average precision of the same masks under different rankings, with the mask IoUs counted once.

Equal to pycocotools' ``COCOeval`` run again with other scores. Shapes: ``I`` IoU thresholds, ``R``
recall thresholds, ``K`` categories, ``A`` object sizes, ``M`` limits on the detections of a
category in an image, ``B`` images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .assignment import assign, outside, rank_in_group

if TYPE_CHECKING:
    from .matches import Matches

# COCO reads its main figure at 100 detections an image and the others at its third limit.
MAIN_MAX_DETS = 100
# LVIS names categories by how many images show them: rare, common, frequent.
FREQUENCIES = ('r', 'c', 'f')
FIGURE_SUFFIXES = ('', '_50', '_75', '_s', '_m', '_l')


@dataclass(frozen=True)
class RankedAP:
    """Precision and recall of the masks under one ranking.

    ``precision`` (I, R, K, A, M) and ``recall`` (I, K, A, M) lie in [0, 1]; both are -1 where a
    category has no ground truth of the size.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    iou_thresholds: NDArray[np.float64]  # (I,)
    category_ids: tuple[Any, ...]  # (K,)
    sizes: tuple[str, ...]  # (A,)
    max_dets: tuple[int, ...]  # (M,)
    frequencies: tuple[str, ...] = ()  # (K,) of `FREQUENCIES` in LVIS, elsewhere empty

    def ap(
        self,
        *,
        iou: float | None = None,
        size: str = 'all',
        category_id: Any = None,
        frequency: str | None = None,
        max_dets: int | None = None,
    ) -> float:
        """Mean of the precision over what is not fixed; NaN where nothing is defined.

        Args:
            iou: one of ``iou_thresholds``; None means all of them.
            size: one of ``sizes``.
            category_id: None means the mean over the categories.
            frequency: one of `FREQUENCIES` means the mean over its categories.
            max_dets: one of ``max_dets``; None means COCO's choice: 100 for the main figure, the
                third limit for one threshold, size or category.
        """
        if max_dets is None:
            is_main = iou is None and size == 'all' and category_id is None
            max_dets = main_limit(self.max_dets) if is_main else self.max_dets[:3][-1]
        if size not in self.sizes or max_dets not in self.max_dets:
            return float('nan')
        values = self.precision[..., self.sizes.index(size), self.max_dets.index(max_dets)]
        if category_id is not None:
            values = values[:, :, self.category_ids.index(category_id)]
        if frequency is not None:
            values = values[:, :, np.array(self.frequencies) == frequency]
        if iou is not None:
            values = values[self.iou_thresholds == iou]
        return _mean_of_defined(values)

    def ar(self, max_dets: int, size: str = 'all') -> float:
        """Mean of the highest recall over IoU thresholds and categories; NaN where undefined."""
        index = self.sizes.index(size), self.max_dets.index(max_dets)
        return _mean_of_defined(self.recall[:, :, index[0], index[1]])

    def figures(self, category_id: Any = None) -> dict[str, float]:
        """COCO's six by `FIGURE_SUFFIXES`: AP, at IoU 0.5 and 0.75, of small to large objects.

        In LVIS also those of rare, common and frequent categories: ``_r``, ``_c``, ``_f``.
        """
        choices: list[dict[str, Any]] = [{}, {'iou': 0.5}, {'iou': 0.75}]
        choices += [{'size': size} for size in self.sizes[1:]]
        figures = {
            suffix: self.ap(category_id=category_id, **choice)
            for suffix, choice in zip(FIGURE_SUFFIXES, choices)
        }
        if self.frequencies and category_id is None:
            figures.update({f'_{name}': self.ap(frequency=name) for name in FREQUENCIES})
        return figures

    def recalls(self) -> dict[str, float]:
        """COCO's other six: AR at each limit, then of each size at the highest: ``AR_s@100``."""
        figures = {f'AR@{limit}': self.ar(limit) for limit in self.max_dets}
        highest = self.max_dets[-1]
        for size in self.sizes[1:]:
            figures[f'AR_{size[0]}@{highest}'] = self.ar(highest, size)
        return figures

    def ap_by_iou(self) -> NDArray[np.float64]:
        """AP at each IoU threshold, (I,)."""
        return np.array([self.ap(iou=iou) for iou in self.iou_thresholds])


def main_limit(max_dets: Sequence[int]) -> int:
    """Returns the limit on detections that the main AP counts: 100, or the only one there is."""
    return MAIN_MAX_DETS if len(max_dets) > 1 else max_dets[0]


def _mean_of_defined(values: NDArray[np.float64]) -> float:
    values = values[values > -1]
    return float(values.mean()) if values.size else float('nan')


def rank_matches(matches: Matches, scores: NDArray[np.float64]) -> RankedAP:
    """Computes precision and recall of the masks under one ranking.

    Args:
        scores: (N,) finite, in the order of ``matches``.
    """
    protocol = matches.protocol
    max_dets = sorted(protocol.max_dets)
    ranks = rank_in_group(scores, matches.group)
    found = assign(matches, ranks, protocol.iou_thresholds, protocol.area_ranges, max_dets[-1])
    counts = ~(matches.gt_crowd | outside(matches.gt_area, protocol.area_ranges))
    shape = (len(matches.category_ids), len(protocol.area_names), len(max_dets))
    precision = np.full(
        (len(protocol.iou_thresholds), len(protocol.recall_thresholds), *shape), -1.0
    )
    recall = np.full((len(protocol.iou_thresholds), *shape), -1.0)
    # Stable: equal scores stay in COCO's order.
    order = np.lexsort((-scores, matches.category))
    numbers = np.arange(len(matches.category_ids) + 1)
    cuts = np.searchsorted(matches.category[order], numbers)
    for k in numbers[:-1]:
        members = order[cuts[k] : cuts[k + 1]]
        matched, ignored = found.pair[:, :, members] >= 0, found.ignored[:, :, members]
        true_positive, false_positive = matched & ~ignored, ~matched & ~ignored  # (A, I, n)
        gt_counts = counts[:, matches.gt_category == k].sum(axis=1)
        rank = ranks[members]
        highest = rank.max(initial=-1)
        for m, limit in enumerate(max_dets):
            if m and highest < max_dets[m - 1]:  # the limit before kept all detections
                precision[:, :, k, :, m] = precision[:, :, k, :, m - 1]
                recall[:, k, :, m] = recall[:, k, :, m - 1]
                continue
            kept = slice(None) if highest < limit else rank < limit
            for a in np.flatnonzero(gt_counts):
                precision[:, :, k, a, m], recall[:, k, a, m] = precision_at_recall(
                    true_positive[a][:, kept],
                    false_positive[a][:, kept],
                    gt_counts[a],
                    protocol.recall_thresholds,
                )
    return RankedAP(
        precision=precision,
        recall=recall,
        iou_thresholds=protocol.iou_thresholds,
        category_ids=matches.category_ids,
        sizes=protocol.area_names,
        max_dets=tuple(max_dets),
        frequencies=matches.frequencies,
    )


def precision_at_recall(
    true_positive: NDArray, false_positive: NDArray, gt_count: float, recalls: NDArray
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Highest precision at each recall or beyond it (I, R), 0 where not reached; final recall (I,).

    Args:
        true_positive, false_positive: (I, n) what each detection counts as, best first.
        gt_count: ground truths that count, more than 0.
        recalls: (R,) ascending.

    Example:
        >>> found = np.array([[1, 0, 1]])
        >>> precision, recall = precision_at_recall(found, 1 - found, 2, np.array([0, .5, 1]))
        >>> precision.round(3).tolist(), recall.tolist()
        ([[1.0, 1.0, 0.667]], [1.0])
    """
    tp = np.cumsum(true_positive, axis=1, dtype=float)
    fp = np.cumsum(false_positive, axis=1, dtype=float)
    precision = tp / (fp + tp + np.spacing(1))
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    envelope = np.pad(envelope, ((0, 0), (0, 1)))  # recall never reached
    recall = tp / gt_count
    positions = [np.searchsorted(row, recalls, side='left') for row in recall]
    final = recall[:, -1] if recall.shape[1] else np.zeros(len(recall))
    return np.take_along_axis(envelope, np.array(positions), axis=1), final
