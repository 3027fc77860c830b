"""What a picture of an image's masks needs, and which images are worth one.

Shapes: ``N`` detections and ``G`` ground truths of an image of ``H`` x ``W`` pixels.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

_PER_DETECTION = ('masks', 'labels', 'scores', 'mask_ious', 'true_ious')
_PER_GT = ('gt_masks', 'gt_labels')


@dataclass(frozen=True)
class ScoredImage:
    """An image, its ground truth and its detections; crowds are no part of the ground truth."""

    image: NDArray[np.uint8]  # (H, W, 3) RGB
    masks: NDArray[np.bool_]  # (N, H, W)
    labels: NDArray[np.int64]  # (N,) index into the class names
    scores: NDArray[np.float64]  # (N,) class score
    mask_ious: NDArray[np.float64]  # (N,) predicted IoU
    true_ious: NDArray[np.float64]  # (N,) largest mask IoU with a ground truth of the class
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
    def mask_scores(self) -> NDArray[np.float64]:
        """s_cls * s_iou, (N,)."""
        return self.scores * self.mask_ious

    def best(self, count: int, min_score: float = 0.0) -> ScoredImage:
        """At most ``count`` detections of class score ``min_score`` or more, highest first."""
        order = np.argsort(-self.scores, kind='stable')[:count]
        return self._choose(order[self.scores[order] >= min_score])

    def _choose(self, order: Any) -> ScoredImage:
        return replace(self, **{name: getattr(self, name)[order] for name in _PER_DETECTION})


def largest_reversal(scores: NDArray, mask_scores: NDArray) -> float:
    """How far the two scores disagree on an order.

    The most that any mask gains over one that the class score had put before it:
    ``max (m_j - m_i)`` over all pairs with ``s_i >= s_j``; at least 0.

    Example:
        >>> largest_reversal(np.array([.9, .8, .7]), np.array([.5, .7, .2]))
        0.2
    """
    order = np.argsort(-np.asarray(scores), kind='stable')
    ranked = np.asarray(mask_scores)[order]
    if not len(ranked):
        return 0.0
    lowest_before = np.minimum.accumulate(ranked)
    return float((ranked - lowest_before).max())


def most_telling(images: Iterable[ScoredImage], count: int) -> list[ScoredImage]:
    """The ``count`` images on which class score and mask score disagree most, worst first.

    The true IoU takes no part in the choice: it would pick where the mask score is right.
    """
    return sorted(images, key=lambda image: -largest_reversal(image.scores, image.mask_scores))[
        :count
    ]
