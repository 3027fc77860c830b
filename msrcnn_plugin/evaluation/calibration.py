"""How well a number between 0 and 1 estimates the true MaskIoU: error, correlation, calibration.

Pure functions of vectors. ``N`` detections, ``B`` bins; estimates and true IoUs lie in [0, 1]. What
is undefined is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

BINS = 10


@dataclass(frozen=True)
class IoUError:
    """Estimated against true MaskIoU over ``count`` detections; NaN where undefined."""

    count: int
    mae: float
    rmse: float
    pearson: float
    spearman: float


@dataclass(frozen=True)
class ReliabilityCurve:
    """Estimates in ``B`` equal bins over [0, 1]. The means of an empty bin are NaN."""

    edges: NDArray[np.float64]  # (B + 1,)
    counts: NDArray[np.int64]  # (B,)
    mean_estimate: NDArray[np.float64]  # (B,)
    mean_true_iou: NDArray[np.float64]  # (B,)

    @property
    def ece(self) -> float:
        """Expected calibration error (Naeini et al. 2015), with the true IoU for the accuracy::

            ECE = sum_b n_b / N * |mean estimate in b - mean true IoU in b|

        Half the detections at estimate 0.9 and true IoU 0.6, the rest perfect, makes 0.15. NaN
        where N is 0.
        """
        filled = self.counts > 0
        if not filled.any():
            return float('nan')
        gaps = np.abs(self.mean_estimate - self.mean_true_iou)[filled]
        return float(np.average(gaps, weights=self.counts[filled]))


def iou_error(estimate: ArrayLike, true_iou: ArrayLike) -> IoUError:
    """Mean absolute and root mean square error, Pearson's and Spearman's correlation.

    With ``p`` the estimate (N,) and ``t`` the true IoU (N,)::

        mae = mean |p - t|        rmse = sqrt(mean (p - t)^2)

    Errors need one detection, correlations two and neither vector constant; else they are NaN.

    Example:
        >>> iou_error([.5, .7, .9], [.6, .7, .8])  # doctest: +ELLIPSIS
        IoUError(count=3, mae=0.066..., rmse=0.081..., pearson=1.0, spearman=1.0)
    """
    estimate, true_iou = checked_vectors(estimate, true_iou)
    difference = estimate - true_iou
    nothing = not len(difference)
    return IoUError(
        count=len(difference),
        mae=float('nan') if nothing else float(np.abs(difference).mean()),
        rmse=float('nan') if nothing else float(np.sqrt(np.square(difference).mean())),
        pearson=pearson(estimate, true_iou),
        spearman=pearson(rankdata(estimate), rankdata(true_iou)),
    )


def pearson(first: NDArray, second: NDArray) -> float:
    """Correlation of two vectors in [-1, 1]; NaN for fewer than two values or a constant vector.

    Of the ranks (equal values share their mean rank) it is Spearman's correlation.
    """
    if len(first) < 2 or not np.ptp(first) or not np.ptp(second):
        return float('nan')
    first, second = first - first.mean(), second - second.mean()
    first, second = first / np.abs(first).max(), second / np.abs(second).max()
    product = first @ second / np.sqrt((first @ first) * (second @ second))
    return float(np.clip(product, -1, 1))


def reliability_curve(
    estimate: ArrayLike, true_iou: ArrayLike, bins: int = BINS
) -> ReliabilityCurve:
    """Mean true IoU against mean estimate in equal bins [b / B, (b + 1) / B), the last one closed.

    Example:
        >>> curve = reliability_curve([.1, .9, 1.], [.2, .6, .8], bins=2)
        >>> curve.counts.tolist(), curve.mean_true_iou.round(3).tolist(), round(curve.ece, 3)
        ([1, 2], [0.2, 0.7], 0.2)
    """
    estimate, true_iou = checked_vectors(estimate, true_iou)
    check_unit_interval(estimate)
    index = np.minimum((estimate * bins).astype(np.int64), bins - 1)
    counts = np.bincount(index, minlength=bins)
    filled = np.maximum(counts, 1)
    means = [
        np.where(counts > 0, np.bincount(index, weights=values, minlength=bins) / filled, np.nan)
        for values in (estimate, true_iou)
    ]
    return ReliabilityCurve(np.linspace(0, 1, bins + 1), counts, *means)


def expected_calibration_error(estimate: ArrayLike, true_iou: ArrayLike, bins: int = BINS) -> float:
    """``reliability_curve(...).ece``."""
    return reliability_curve(estimate, true_iou, bins).ece


def checked_vectors(estimate: ArrayLike, true_iou: ArrayLike) -> tuple[NDArray, NDArray]:
    """Both as float64 (N,); a ValueError where they are no vectors of one length."""
    estimate, true_iou = np.asarray(estimate, dtype=float), np.asarray(true_iou, dtype=float)
    if estimate.ndim != 1 or estimate.shape != true_iou.shape:
        raise ValueError(
            f'estimates have shape {estimate.shape}, true IoUs {true_iou.shape}; '
            'give two vectors of the same length'
        )
    return estimate, true_iou


def check_unit_interval(estimate: NDArray) -> None:
    """A ValueError where a value is NaN or outside [0, 1]."""
    wrong = estimate[~((estimate >= 0) & (estimate <= 1))]
    if wrong.size:
        raise ValueError(
            f'{wrong.size} of {estimate.size} estimates lie outside [0, 1], the first is '
            f'{wrong[0]}; calibration is defined within [0, 1] only: clip or rescale them'
        )
