"""How well a number between 0 and 1 estimates the true IoU: error, correlation, calibration.

Pure functions of vectors. ``N`` detections, ``B`` bins (of a density, on either axis). Estimates
and true IoUs lie in [0, 1]. What is undefined is NaN.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

BINS = 10
DENSITY_BINS = 25


@dataclass(frozen=True)
class IoUError:
    """Estimated against true IoU over ``count`` detections; NaN where undefined."""

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
        pearson=correlation(estimate, true_iou),
        spearman=correlation(estimate, true_iou, 'spearmanr'),
    )


def correlation(first: NDArray, second: NDArray, kind: str = 'pearsonr') -> float:
    """scipy's correlation in [-1, 1]; NaN for fewer than two values or a constant vector.

    Args:
        kind: 'pearsonr' or 'spearmanr'.
    """
    if len(first) < 2 or not np.ptp(first) or not np.ptp(second):
        return float('nan')
    from scipy import stats  # slow to import

    with warnings.catch_warnings():  # of vectors that are nearly constant
        warnings.simplefilter('ignore')
        return float(np.clip(getattr(stats, kind)(first, second).statistic, -1, 1))


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


@dataclass(frozen=True)
class JointDensity:
    """Counts of (true IoU, estimate) in ``B`` x ``B`` equal bins over [low, 1] x [low, 1]."""

    edges: NDArray[np.float64]  # (B + 1,) of both axes
    counts: NDArray[np.int64]  # (B, B), row: true IoU, column: estimate
    mean_estimate: NDArray[np.float64]  # (B,) in each bin of the true IoU, NaN where it is empty
    correlation: float  # Pearson's, of the detections counted; NaN where undefined

    @property
    def centres(self) -> NDArray[np.float64]:
        """(B,) middle of each bin."""
        return (self.edges[:-1] + self.edges[1:]) / 2

    @property
    def total(self) -> int:
        """Detections counted."""
        return int(self.counts.sum())


def joint_density(
    estimate: ArrayLike, true_iou: ArrayLike, *, low: float = 0.0, bins: int = DENSITY_BINS
) -> JointDensity:
    """Counts the detections whose estimate and true IoU both exceed ``low``; all of them for 0.

    With ``low=0.5`` it is the paper's figure 2: what is wrong there is neither a false alarm nor a
    miss, but the score's opinion of the mask. Estimates outside [0, 1] are left out.

    Example:
        >>> density = joint_density([.6, .9, .2], [.7, .8, .9], low=0.5, bins=1)
        >>> density.counts.tolist(), density.mean_estimate.tolist()
        ([[2]], [0.75])
    """
    x, y = np.asarray(true_iou, dtype=float), np.asarray(estimate, dtype=float)
    above = np.greater if low > 0 else np.greater_equal
    kept = above(y, low) & above(x, low) & (y <= 1)
    x, y = x[kept], y[kept]
    edges = np.linspace(low, 1, bins + 1)
    counts, _, _ = np.histogram2d(x, y, bins=[edges, edges])
    sums, _ = np.histogram(x, bins=edges, weights=y)
    filled = counts.sum(axis=1)
    means = np.where(filled > 0, sums / np.maximum(filled, 1), np.nan)
    return JointDensity(edges, counts.astype(np.int64), means, correlation(y, x))


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
