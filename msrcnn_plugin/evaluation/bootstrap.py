"""How sure a gain in mask AP is: a paired bootstrap over the images of a test set.

Both rankings are of the same masks and each resample draws the same images for both, so what makes
an image easy or hard falls out of the difference (Efron and Tibshirani 1993, chapter 13: percentile
interval). Shapes: ``N`` detections, ``B`` images, ``K`` categories, ``I`` IoU thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .assignment import assign, rank_in_group
from .pairs import MaskScoringPairs
from .rankings import MAIN_MAX_DETS, envelope_at_recall


@dataclass(frozen=True)
class BootstrapGain:
    """AP of one ranking minus AP of another, and the interval of it; NaN where undefined."""

    gain: float  # on the images as they are
    low: float
    high: float
    images: int  # that were drawn from


def bootstrap_gain(
    pairs: MaskScoringPairs,
    scores: NDArray,
    baseline: NDArray,
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> BootstrapGain:
    """The gain in mask AP of ranking by ``scores`` instead of ``baseline``, as fractions.

    AP is COCO's main figure: the mean over the IoU thresholds and categories at 100 detections of a
    category in an image. A resample draws as many images as there are, with replacement; an image
    that is drawn twice counts twice, detections and objects. Images without either are not drawn,
    as they change no AP.

    Args:
        scores, baseline: (N,) finite, in the order of ``pairs``.
        resamples: how often images are drawn; 0 leaves the interval undefined.
        level: of the interval, in (0, 1).

    Raises:
        ValueError: pairs that do not say in which image each object is.
    """
    if not 0 < level < 1:
        raise ValueError(f'a level of {level}; expected one between 0 and 1, such as 0.95')
    images = _image_numbers(pairs)
    rankings = [_WeightedAP.of(pairs, values, *images) for values in (scores, baseline)]
    count = 1 + max((int(part.max(initial=-1)) for part in images), default=-1)

    def gain(weights: NDArray) -> float:
        first, second = (ranking.ap(weights) for ranking in rankings)
        return first - second

    rng = np.random.default_rng(seed)
    # Multinomial counts are what drawing with replacement amounts to.
    draws = rng.multinomial(count, np.full(count, 1 / count), resamples) if count else ()
    gains = np.array([gain(weights.astype(float)) for weights in draws])
    gains = gains[~np.isnan(gains)]  # a draw without a single object
    tail = (1 - level) / 2
    low, high = np.quantile(gains, [tail, 1 - tail]) if len(gains) else (np.nan, np.nan)
    return BootstrapGain(gain(np.ones(count)), float(low), float(high), count)


def _image_numbers(pairs: MaskScoringPairs) -> tuple[NDArray, NDArray]:
    """Running number of the image of each detection (N,) and of each ground truth (G,)."""
    basis = pairs.basis
    if basis is None or basis.truth_image is None:
        raise ValueError(
            'these pairs do not say in which image each object is, so images cannot be drawn: '
            'test the model again, files of this version do'
        )
    joined = np.concatenate([pairs.image_id[basis.place], basis.truth_image])
    numbers = np.unique(joined, return_inverse=True)[1]
    return numbers[: len(pairs)], numbers[len(pairs) :]


@dataclass(frozen=True)
class _WeightedAP:
    """One ranking, matched once: an image's weight changes what counts, never what matches."""

    categories: tuple[tuple[NDArray, NDArray, NDArray, NDArray], ...]
    recalls: NDArray[np.float64]  # recall thresholds

    @classmethod
    def of(
        cls, pairs: MaskScoringPairs, scores: NDArray, images: NDArray, truth_images: NDArray
    ) -> _WeightedAP:
        overlaps, params = pairs.overlaps()
        scores = np.asarray(scores, dtype=float)[pairs.basis.place]
        ranks = rank_in_group(scores, overlaps.detection_group)
        everything = np.array([[-np.inf, np.inf]])  # objects of every size
        thresholds = np.asarray(params.iouThrs, dtype=float)
        found = assign(overlaps, ranks, thresholds, everything, MAIN_MAX_DETS)
        order = np.argsort(-scores, kind='stable')
        order = order[ranks[order] < MAIN_MAX_DETS]
        categories = []
        for category in range(len(params.catIds)):
            members = order[overlaps.detection_category[order] == category]
            counts = (overlaps.truth_category == category) & ~overlaps.truth_crowd
            hit, ignored = found.hit[0][:, members], found.ignored[0][:, members]
            right, wrong = hit & ~ignored, ~hit & ~ignored
            categories.append((right, wrong, images[members], truth_images[counts]))
        return cls(tuple(categories), np.asarray(params.recThrs, dtype=float))

    def ap(self, weights: NDArray[np.float64]) -> float:
        """AP where image ``b`` is there ``weights[b]`` times (B,); NaN without an object."""
        precisions = []
        for right, wrong, images, truth_images in self.categories:
            truth_count = weights[truth_images].sum()
            if truth_count:
                times = weights[images]
                so_far = (np.cumsum(kind * times, axis=1) for kind in (right, wrong))
                precision = envelope_at_recall(*so_far, truth_count, self.recalls)
                precisions.append(precision.mean())
        return float(np.mean(precisions)) if precisions else float('nan')
