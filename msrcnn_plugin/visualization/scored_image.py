"""What a picture of an image's masks needs, and which images are worth one.

Shapes: ``N`` detections and ``G`` ground truths of an image of ``H`` x ``W`` pixels.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

_PER_DETECTION = (
    'masks', 'labels', 'scores', 'mask_ious', 'mask_scores', 'true_ious', 'unique_ious'
)  # fmt: skip
DUPLICATE_IOU = 0.5  # a worse mask that is not the best of its object is a false detection
_PER_GT = ('gt_masks', 'gt_labels')


@dataclass(frozen=True)
class ScoredImage:
    """An image, its ground truth and its detections; crowds are no part of the ground truth."""

    image: NDArray[np.uint8]  # (H, W, 3) RGB
    masks: NDArray[np.bool_]  # (N, H, W)
    labels: NDArray[np.int64]  # (N,) index into the class names
    scores: NDArray[np.float64]  # (N,) class score
    mask_ious: NDArray[np.float64]  # (N,) predicted IoU
    mask_scores: NDArray[np.float64]  # (N,)
    true_ious: NDArray[np.float64]  # (N,) largest mask IoU with a ground truth of the class
    unique_ious: NDArray[np.float64]  # (N,) the same for the best of each object, else 0
    gt_masks: NDArray[np.bool_]  # (G, H, W)
    gt_labels: NDArray[np.int64]  # (G,)

    def __post_init__(self) -> None:
        for names in (_PER_DETECTION, _PER_GT):
            lengths = {name: len(getattr(self, name)) for name in names}
            if len(set(lengths.values())) > 1:
                raise ValueError(f'{lengths}: all of these must have the same length')
        for name in ('masks', 'gt_masks'):
            masks, size = getattr(self, name), self.image.shape[:2]
            if len(masks) and masks.shape[1:] != size:
                raise ValueError(
                    f'{name} are {masks.shape[1:]} pixels (height, width), the image is {size}: '
                    'give masks of the original image'
                )

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def duplicates(self) -> NDArray[np.bool_]:
        """(N,) true where a better detection of the same object exists."""
        return (self.true_ious >= DUPLICATE_IOU) & (self.unique_ious == 0)

    def best(self, count: int, min_score: float = 0.0) -> ScoredImage:
        """At most ``count`` detections of class score ``min_score`` or more, highest first."""
        order = np.argsort(-self.scores, kind='stable')[:count]
        return self._choose(order[self.scores[order] >= min_score])

    def _choose(self, order: Any) -> ScoredImage:
        return replace(self, **{name: getattr(self, name)[order] for name in _PER_DETECTION})


def misorder(scores: NDArray, unique_ious: NDArray) -> float:
    """Sums how much each pair of detections that a score puts in the wrong order differs in U.

    Args:
        scores: (N,) of a ranking; equal ones count half.
        unique_ious: (N,) U, the true IoU of the best detection of each object and 0 for the rest.

    Example:
        >>> misorder(np.array([.9, .8, .7]), np.array([.5, .75, .25]))
        0.25
    """
    ahead = np.heaviside(np.subtract.outer(scores, scores), 0.5)
    lost = np.maximum(-np.subtract.outer(unique_ious, unique_ious), 0)
    return float((ahead * lost).sum())


def most_improved(images: Iterable[ScoredImage], count: int) -> list[ScoredImage]:
    """The ``count`` images whose order the mask score improves most over the class score."""

    def improvement(image: ScoredImage) -> float:
        by_class, by_mask = image.scores, image.mask_scores
        return misorder(by_class, image.unique_ious) - misorder(by_mask, image.unique_ious)

    return sorted(images, key=improvement, reverse=True)[:count]
