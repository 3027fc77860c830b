"""How two numbers between 0 and 1 go together, as counts: score or predicted IoU against true IoU.

``N`` detections, ``B`` bins on either axis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .calibration import pearson

BINS = 25


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
    estimate: ArrayLike, true_iou: ArrayLike, *, low: float = 0.0, bins: int = BINS
) -> JointDensity:
    """Counts the detections whose estimate and true IoU both exceed ``low``; all of them for 0.

    With ``low=0.5`` it is the paper's figure 2: what is wrong there is neither a false alarm nor a
    miss, but the score's opinion of the mask. Estimates outside [0, 1] are left out.

    Example:
        >>> density = joint_density([.6, .9, .2], [.7, .8, .9], low=0.5, bins=1)
        >>> density.counts.tolist(), density.mean_estimate.tolist()
        ([[2]], [0.75])
    """
    estimate, true_iou = np.asarray(estimate, dtype=float), np.asarray(true_iou, dtype=float)
    above = np.greater if low > 0 else np.greater_equal
    kept = above(estimate, low) & above(true_iou, low) & (estimate <= 1)
    estimate, true_iou = estimate[kept], true_iou[kept]
    edges = np.linspace(low, 1, bins + 1)
    counts, _, _ = np.histogram2d(true_iou, estimate, bins=(edges, edges))
    sums, _ = np.histogram(true_iou, bins=edges, weights=estimate)
    filled = counts.sum(axis=1)
    means = np.where(filled > 0, sums / np.maximum(filled, 1), np.nan)
    return JointDensity(edges, counts.astype(np.int64), means, pearson(estimate, true_iou))
