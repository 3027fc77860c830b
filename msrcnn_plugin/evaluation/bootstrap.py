"""How sure a gain in mask AP is: a paired bootstrap over the images of a test set.

Both rankings are of the same masks and each resample draws the same images for both, so what makes
an image easy or hard falls out of the difference (Efron and Tibshirani 1993, chapter 13: percentile
interval).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .assignment import assign, outside, rank_in_group
from .rankings import main_limit

if TYPE_CHECKING:
    from .matches import Matches


@dataclass(frozen=True)
class BootstrapGain:
    """AP of one ranking minus AP of another, and the interval of it; NaN where undefined."""

    gain: float  # on the images as they are
    low: float
    high: float
    images: int  # that were drawn from


def bootstrap_gain(
    matches: Matches,
    scores: str | ArrayLike,
    baseline: str | ArrayLike,
    *,
    baseline_matches: Matches | None = None,
    max_dets: int | None = None,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> BootstrapGain:
    """Computes the gain in mask AP of ranking by ``scores`` instead of ``baseline``, as fractions.

    AP is COCO's main figure: the mean over the IoU thresholds and categories. A resample draws as
    many images as there are, with replacement; an image that is drawn twice counts twice,
    detections and objects. Images without either are not drawn, as they change no AP.

    Args:
        scores, baseline: names of rankings, or (N,) finite in the order of the detections.
        baseline_matches: another test of the same images, whose detections ``baseline`` ranks; by
            default ``matches``.
        max_dets: best detections of a category in an image that count (those of the main AP).
        resamples: how often images are drawn; 0 leaves the interval undefined.
        level: of the interval, in (0, 1).

    Raises:
        ValueError: matches of an older file, which do not say in which image each object is, or of
            other images than ``baseline_matches``.
    """
    others = matches if baseline_matches is None else baseline_matches
    if not 0 < level < 1:
        raise ValueError(f'a level of {level}; expected one between 0 and 1, such as 0.95')
    if any((of.gt_image < 0).any() for of in (matches, others)):
        raise ValueError(
            'this file does not say in which image each object is, so images cannot be drawn: '
            'test the model again, files of this version do'
        )
    if list(others.image_ids) != list(matches.image_ids):
        raise ValueError(
            f'matches of {len(matches.image_ids)} images and baseline_matches of '
            f'{len(others.image_ids)}: expected tests of the same images'
        )
    limit = main_limit(matches.protocol.max_dets) if max_dets is None else max_dets
    first, second = (
        WeightedAP(of, of.checked(values), limit)
        for of, values in ((matches, scores), (others, baseline))
    )
    drawn = np.unique(np.concatenate([matches.image, others.image, matches.gt_image]))
    weights = np.zeros(len(matches.image_ids))

    def gain(times: NDArray | float) -> float:
        weights[drawn] = times
        return first(weights) - second(weights)

    rng, count = np.random.default_rng(seed), len(drawn)
    # Multinomial counts are what drawing with replacement amounts to.
    draws = rng.multinomial(count, np.full(count, 1 / count), resamples) if count else ()
    gains = np.array([gain(times) for times in draws])
    gains = gains[~np.isnan(gains)]  # a draw without a single object
    tail = (1 - level) / 2
    low, high = np.quantile(gains, [tail, 1 - tail]) if len(gains) else (np.nan, np.nan)
    return BootstrapGain(gain(1.0), float(low), float(high), count)


class WeightedAP:
    """COCO's main AP of one ranking, where images count several times.

    What an image counts changes no match, so all draws share one assignment. The detections of a
    category ``k`` at an IoU threshold ``i`` are a *segment*, number ``i * K + k``. Precision is
    highest at true positives, so a draw goes through these alone.

    Args:
        scores: (N,) finite, in the order of ``matches``.
        limit: best detections of a category in an image that count.
    """

    def __init__(self, matches: Matches, scores: NDArray[np.float64], limit: int) -> None:
        protocol, count = matches.protocol, len(matches.category_ids)
        ranks = rank_in_group(scores, matches.group)
        everything = protocol.area_ranges[:1]
        found = assign(matches, ranks, protocol.iou_thresholds, everything, limit)
        order = np.lexsort((-scores, matches.category))
        order = order[ranks[order] < limit]
        ignored = found.ignored[0][:, order]
        counts = ~(matches.gt_crowd | outside(matches.gt_area, everything)[0])
        self._gt_image, self._gt_category = matches.gt_image[counts], matches.gt_category[counts]
        self._image, category = matches.image[order], matches.category[order]
        self._shape = len(protocol.iou_thresholds), count
        self._recalls = protocol.recall_thresholds
        segments = np.arange(self._shape[0] * count)

        def listed(chosen: NDArray[np.bool_]) -> tuple[NDArray, ...]:
            threshold, place = np.nonzero(chosen)
            segment = threshold * count + category[place]
            return place, threshold * len(order) + place, segment

        self._place, key, self._segment = listed((found.pair[0][:, order] >= 0) & ~ignored)
        self._ignored, ignored_key, ignored_segment = listed(ignored)
        self._bounds = np.searchsorted(self._segment, [segments, segments + 1])
        self._first_of_category = np.searchsorted(category, category[self._place])
        self._ignored_before = np.searchsorted(ignored_key, key)
        self._first_ignored = np.searchsorted(ignored_segment, self._segment)

    def __call__(self, weights: NDArray[np.float64]) -> float:
        """Returns AP where image ``b`` is there ``weights[b]`` times, a whole number each, (B,).

        It is NaN without objects.
        """
        thresholds, count = self._shape
        objects = np.bincount(self._gt_category, weights[self._gt_image], count).astype(float)
        if not objects.any():
            return float('nan')
        times = weights[self._image]
        every, true, ignored = (
            np.concatenate([[0.0], np.cumsum(values)])
            for values in (times, times[self._place], times[self._ignored])
        )
        start, stop = self._bounds
        found = true[1:] - true[start[self._segment]]
        kept = every[self._place + 1] - every[self._first_of_category]
        kept -= ignored[self._ignored_before] - ignored[self._first_ignored]
        precision = np.append(found / (kept + np.spacing(1)), 0.0)
        # The first true positive of each segment that reaches each recall, by whole numbers.
        needed = np.tile(_needed(objects, self._recalls), (thresholds, 1))
        reached = (needed <= (true[stop] - true[start])[:, None]) & (stop > start)[:, None]
        step = max(every[-1], objects.max()) + 2
        offsets = step * np.arange(thresholds * count)
        first = np.searchsorted(found + offsets[self._segment], needed + offsets[:, None])
        highest = np.maximum.reduceat(precision, first.ravel()).reshape(first.shape)
        highest = np.where(reached, highest, 0.0)
        envelope = np.maximum.accumulate(highest[:, ::-1], axis=1)
        return float(envelope.reshape(thresholds, count, -1)[:, objects > 0].mean())


def _needed(objects: NDArray[np.float64], recalls: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the fewest true positives (K, R) whose share of the objects (K,) is the recall."""
    objects = np.maximum(objects, 1)[:, None]
    needed = np.ceil(recalls * objects)
    needed -= (needed > 0) & ((needed - 1) / objects >= recalls)  # rounding
    needed += needed / objects < recalls
    return needed
