"""Average precision of the same masks under different rankings, with the mask IoUs counted once.

Equal to pycocotools' ``COCOeval`` run anew with other scores. Shapes: ``I`` IoU thresholds, ``R``
recall thresholds, ``K`` categories, ``A`` object sizes, ``M`` limits on the detections of a
category in an image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pycocotools.cocoeval import Params

from .assignment import Assignment, assign, outside, rank_in_group
from .matching import Overlaps

# COCO reads its main figure at 100 detections an image and the others at its third limit.
MAIN_MAX_DETS = 100
FIGURE_SUFFIXES = ('', '_50', '_75', '_s', '_m', '_l')


@dataclass(frozen=True)
class RankedAP:
    """Precision of the masks under one ranking.

    ``precision`` (I, R, K, A, M) in [0, 1], -1 where a category has no ground truth of the size.
    """

    precision: NDArray[np.float64]
    iou_thresholds: NDArray[np.float64]  # (I,)
    category_ids: tuple[int, ...]  # (K,)
    sizes: tuple[str, ...]  # (A,)
    max_dets: tuple[int, ...]  # (M,)

    def ap(
        self,
        *,
        iou: float | None = None,
        size: str = 'all',
        category_id: int | None = None,
        max_dets: int | None = None,
    ) -> float:
        """Mean of the precision over what is not fixed; NaN where nothing is defined.

        Args:
            iou: one of ``iou_thresholds``; None means all of them.
            size: one of ``sizes``.
            category_id: None means the mean over the categories.
            max_dets: one of ``max_dets``; None means COCO's choice: 100 for the main figure, the
                third limit for one threshold, size or category.
        """
        if max_dets is None:
            is_main = iou is None and size == 'all' and category_id is None
            max_dets = MAIN_MAX_DETS if is_main else self.max_dets[:3][-1]
        if size not in self.sizes or max_dets not in self.max_dets:
            return float('nan')
        values = self.precision[..., self.sizes.index(size), self.max_dets.index(max_dets)]
        if category_id is not None:
            values = values[:, :, self.category_ids.index(category_id)]
        if iou is not None:
            values = values[self.iou_thresholds == iou]
        values = values[values > -1]
        return float(values.mean()) if values.size else float('nan')

    def figures(self, category_id: int | None = None) -> dict[str, float]:
        """COCO's six by `FIGURE_SUFFIXES`: AP, at IoU 0.5 and 0.75, of small to large objects."""
        choices = ({}, {'iou': 0.5}, {'iou': 0.75}, *({'size': size} for size in self.sizes[1:]))
        return {
            suffix: self.ap(category_id=category_id, **choice)
            for suffix, choice in zip(FIGURE_SUFFIXES, choices)
        }

    def ap_by_iou(self) -> NDArray[np.float64]:
        """AP at each IoU threshold, (I,)."""
        return np.array([self.ap(iou=iou) for iou in self.iou_thresholds])


def rank_masks(overlaps: Overlaps, scores: NDArray, params: Params) -> RankedAP:
    """AP of the masks ranked by ``scores``.

    Args:
        scores: (N,) finite, in the order of ``overlaps``.
        params: those of the ``COCOeval`` that the overlaps come from: thresholds, sizes, limits.
    """
    max_dets, areas = sorted(params.maxDets), np.array(params.areaRng, dtype=float)
    thresholds = np.array(params.iouThrs, dtype=float)
    ranks = rank_in_group(scores, overlaps.detection_group)
    assignment = assign(overlaps, ranks, thresholds, areas, max_dets[-1])
    counts = ~(overlaps.truth_crowd | outside(overlaps.truth_area, areas))
    shape = (len(thresholds), len(params.recThrs), len(params.catIds), len(areas), len(max_dets))
    precision = -np.ones(shape)
    for category in range(len(params.catIds)):
        truths = counts[:, overlaps.truth_category == category].sum(axis=1)
        if truths.any():
            # Stable: equal scores stay in the order of images, as COCO has them.
            members = np.flatnonzero(overlaps.detection_category == category)
            members = members[np.argsort(-scores[members], kind='stable')]
            _fill(precision[:, :, category], assignment, members, ranks, truths, max_dets, params)
    return RankedAP(
        precision=precision,
        iou_thresholds=thresholds,
        category_ids=tuple(int(category) for category in params.catIds),
        sizes=tuple(params.areaRngLbl),
        max_dets=tuple(max_dets),
    )


def _fill(
    precision: NDArray,
    assignment: Assignment,
    members: NDArray,
    ranks: NDArray,
    truths: NDArray,
    max_dets: list[int],
    params: Params,
) -> None:
    """Writes the precision (I, R, A, M) of one category, of detections ``members``, best first."""
    hit, ignored = assignment.hit[:, :, members], assignment.ignored[:, :, members]
    for index, kept in enumerate(_within_limits(ranks[members], max_dets)):
        if kept is None:
            precision[..., index] = precision[..., index - 1]
            continue
        for area in np.flatnonzero(truths):
            precision[:, :, area, index] = precision_at_recall(
                hit[area][:, kept], ignored[area][:, kept], truths[area], params.recThrs
            )


def _within_limits(ranks: NDArray, max_dets: list[int]) -> list[NDArray | slice | None]:
    """What each limit keeps; None where it keeps no more than the limit before it."""
    highest = ranks.max(initial=-1)
    kept = []
    for index, limit in enumerate(max_dets):
        if index and highest < max_dets[index - 1]:
            kept.append(None)
        else:
            kept.append(slice(None) if highest < limit else ranks < limit)
    return kept


def precision_at_recall(
    hit: NDArray[np.bool_], ignored: NDArray[np.bool_], truth_count: int, recalls: NDArray
) -> NDArray[np.float64]:
    """Highest precision at each recall or beyond it, (I, R); 0 where the recall is not reached.

    Args:
        hit, ignored: (I, n), best score first.
        truth_count: ground truths that count, at least 1.
        recalls: (R,) ascending.

    Example:
        >>> hit = np.array([[True, False, True]])
        >>> precision_at_recall(hit, np.zeros_like(hit), 2, np.array([0, .5, 1])).round(3).tolist()
        [[1.0, 1.0, 0.667]]
    """
    right = np.cumsum(hit & ~ignored, axis=1, dtype=float)
    wrong = np.cumsum(~hit & ~ignored, axis=1, dtype=float)
    return envelope_at_recall(right, wrong, truth_count, recalls)


def envelope_at_recall(
    right: NDArray[np.float64], wrong: NDArray[np.float64], truth_count: float, recalls: NDArray
) -> NDArray[np.float64]:
    """As `precision_at_recall`, from how many are right and wrong so far, (I, n) each."""
    precision = right / (wrong + right + np.spacing(1))
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    envelope = np.pad(envelope, ((0, 0), (0, 1)))  # recall never reached
    recall = right / truth_count
    positions = [np.searchsorted(row, recalls, side='left') for row in recall]
    return np.take_along_axis(envelope, np.array(positions), axis=1)
