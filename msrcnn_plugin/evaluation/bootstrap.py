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

from .rankings import Ranking, main_limit

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
    if (matches.gt_image < 0).any():
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
        Ranking(of, of.checked(values), areas=1, max_dets=[limit])
        for of, values in ((matches, scores), (others, baseline))
    )
    drawn = np.unique(np.concatenate([matches.image, others.image, matches.gt_image]))
    weights = np.zeros(len(matches.image_ids))

    def gain(times: NDArray | float) -> float:
        weights[drawn] = times
        ap, baseline_ap = (of.ap(weights).ap(max_dets=limit) for of in (first, second))
        return ap - baseline_ap

    rng, count = np.random.default_rng(seed), len(drawn)
    # Multinomial counts are what drawing with replacement amounts to.
    draws = rng.multinomial(count, np.full(count, 1 / count), resamples) if count else ()
    gains = np.array([gain(times) for times in draws])
    gains = gains[~np.isnan(gains)]  # a draw without a single object
    tail = (1 - level) / 2
    low, high = np.quantile(gains, [tail, 1 - tail]) if len(gains) else (np.nan, np.nan)
    return BootstrapGain(gain(1.0), float(low), float(high), count)
