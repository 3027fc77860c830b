"""A score threshold with a promise: of the masks it keeps in an image, most are good.

The promise is about images that nobody has seen. It holds without any assumption about the model or
its scores, as long as these images and the held-out ones are drawn alike. Masks of one image are
not independent, so images are what is counted.

Method: Learn then Test (Angelopoulos et al., arXiv 2110.01052) with the Hoeffding-Bentkus p-value
for the mean of numbers in [0, 1], here the share of bad masks among those kept in an image.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..files import read_json

# The bound needs thresholds that are fixed before the data is seen. Testing goes down from
# each start while the promise holds: a threshold so high that it keeps masks in few images cannot
# be proven, and must not stop the search.
THRESHOLDS = np.arange(1, 100) / 100
STARTS = (0.95, 0.85, 0.7, 0.5, 0.3)


@dataclass(frozen=True)
class ScoreThreshold:
    """The lowest proven threshold, and what it keeps of the held-out images.

    ``value`` is NaN, and the counts are 0, where no threshold keeps the promise.
    """

    value: float  # keep masks whose score is at least this
    min_iou: float  # a mask is good from this true IoU on
    good_share: float  # promised mean share of good masks among those kept in an image
    confidence: float  # the chance that the promise is true, over draws of the held-out images
    images: int  # held-out images in which a mask is kept
    kept: int  # held-out masks at or above the threshold
    kept_good: int  # of which so many are good

    @property
    def found(self) -> bool:
        return not np.isnan(self.value)


def find_threshold(
    scores: ArrayLike,
    true_iou: ArrayLike,
    image: ArrayLike,
    *,
    min_iou: float = 0.7,
    good_share: float = 0.9,
    confidence: float = 0.95,
) -> ScoreThreshold:
    """Finds the lowest threshold at which kept masks are good, and proves it.

    In an image drawn at random among those where a mask is kept, the expected share of kept masks
    with a true IoU of at least ``min_iou`` is at least ``good_share``. Over draws of the held-out
    images this is true with a chance of at least ``confidence``.

    Args:
        scores: (N,) in [0, 1], one a mask of the held-out images.
        true_iou: (N,) in [0, 1].
        image: (N,) the image of each mask, by any name.
        min_iou, good_share, confidence: in (0, 1).

    Raises:
        ValueError: a share outside (0, 1), scores outside [0, 1], arrays of different length.

    Example:
        >>> image = np.arange(200)
        >>> find_threshold(np.full(200, 0.8), np.ones(200), image).value
        0.01
    """
    scores, true_iou, image = np.asarray(scores), np.asarray(true_iou), np.asarray(image)
    _check(scores, true_iou, image, min_iou=min_iou, good_share=good_share, confidence=confidence)
    good = true_iou >= min_iou
    means, counts = bad_shares(scores, good, image)
    # Each start gets an equal share of the chance to be wrong.
    proven = bad_mean_p_values(means, counts, 1 - good_share) <= (1 - confidence) / len(STARTS)
    value = min((low for start in STARTS if (low := _descend(start, proven))), default=np.nan)
    kept = scores >= value
    return ScoreThreshold(
        value=float(value),
        min_iou=min_iou,
        good_share=good_share,
        confidence=confidence,
        images=len(np.unique(image[kept])),
        kept=int(kept.sum()),
        kept_good=int((kept & good).sum()),
    )


def bad_mean_p_values(means: NDArray, counts: NDArray, limit: float) -> NDArray[np.float64]:
    """Computes the Hoeffding-Bentkus p-values (T,) of "the expected share exceeds ``limit``".

    Args:
        means: (T,) in [0, 1], each of as many independent numbers in [0, 1] as ``counts`` says.
        limit: in (0, 1).

    Source: arXiv 2110.01052, section 3 (the second bound is Bentkus', 2004).
    """
    from scipy.special import rel_entr
    from scipy.stats import binom

    divergence = rel_entr(means, limit) + rel_entr(1 - means, 1 - limit)
    # Ten digits, so that a mean such as 3/100 does not round up to a fourth failure.
    failures = np.ceil(np.round(counts * means, 10))
    bounds = np.minimum(np.exp(-counts * divergence), np.e * binom.cdf(failures, counts, limit))
    return np.where((means < limit) & (counts > 0), np.minimum(bounds, 1), 1)


def bad_shares(
    scores: NDArray, good: NDArray[np.bool_], image: NDArray
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Computes of each of `THRESHOLDS` the mean share of bad masks, and of how many images it is.

    Args:
        scores, good, image: (N,) of each mask.
    """
    names, place = np.unique(image, return_inverse=True)
    passed = np.searchsorted(THRESHOLDS, scores, side='right')  # as many thresholds keep the mask
    kept, bad = np.zeros((2, len(THRESHOLDS) + 1, len(names)))
    np.add.at(kept, (passed, place), 1)
    np.add.at(bad, (passed, place), ~good)
    kept, bad = (table[::-1].cumsum(0)[-2::-1] for table in (kept, bad))
    counts = (kept > 0).sum(1)
    shares = np.divide(bad, kept, out=np.zeros_like(bad), where=kept > 0)
    return shares.sum(1) / np.maximum(counts, 1), counts


def _descend(start: float, proven: NDArray[np.bool_]) -> float | None:
    """Returns the last threshold before the first that is not proven; None if that is the start.

    Going on only while the promise is proven needs no correction for the number of thresholds
    (fixed-sequence testing).
    """
    above = int(np.searchsorted(THRESHOLDS, start, side='right'))
    run = int(np.argmin([*proven[:above][::-1], False]))
    return float(THRESHOLDS[above - run]) if run else None


def read_threshold(path: str | os.PathLike) -> tuple[str, float]:
    """Reads the file of `msrcnn threshold`: the key of the score, and its threshold in [0, 1].

    Raises:
        ValueError: another file; a file that says that no threshold keeps the promise.
        FileNotFoundError: it is not there.
    """
    content = read_json(path)
    key, value = content.get('score'), content.get('threshold')
    if not isinstance(key, str) or 'threshold' not in content:
        raise ValueError(f'{path} holds no threshold: expected what msrcnn threshold --json writes')
    if value is None:
        raise ValueError(f'{path} says that no threshold of {key} keeps the promise: give another')
    return key, float(value)


def _check(scores: NDArray, true_iou: NDArray, image: NDArray, **shares: float) -> None:
    for name, share in shares.items():
        if not 0 < share < 1:
            raise ValueError(f'{name} is {share}; expected a number between 0 and 1')
    if not len(scores) == len(true_iou) == len(image):
        raise ValueError(
            f'{len(scores)} scores, {len(true_iou)} true IoUs and {len(image)} images were given; '
            'expected one of each for a mask'
        )
    if not np.all((scores >= 0) & (scores <= 1)):
        raise ValueError(
            'scores lie outside [0, 1] or are NaN; expected a class score, a predicted IoU or a '
            'mask score'
        )
