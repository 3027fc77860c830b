"""The detections of an image, and their masks in it.

Shapes: ``N`` detections, ``M`` side of a mask on the grid of its box.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Prediction:
    """The detections of an image, by falling class score.

    Attributes:
        size: (height, width) of the image.
        bboxes: (N, 4) x1, y1, x2, y2 in pixels of the image.
        labels: (N,) from 0.
        class_names: N names.
        scores: (N,) class scores.
        mask_ious: (N,) predicted IoU in [0, 1].
        mask_scores: (N,).
        mask_probs: (N, M, M) probability, on the grid of the box.
        mask_threshold: probability from which a pixel belongs to a mask.
    """

    size: tuple[int, int]
    bboxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    class_names: Sequence[str]
    scores: NDArray[np.float32]
    mask_ious: NDArray[np.float32]
    mask_scores: NDArray[np.float32]
    mask_probs: NDArray[np.float32]
    mask_threshold: float = 0.5

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def masks(self) -> NDArray[np.bool_]:
        """The masks (N, height, width) in the image."""
        masks = np.zeros((len(self), *self.size), dtype=bool)
        for mask, (rows, columns, pasted) in zip(masks, self._pasted()):
            mask[rows, columns] = pasted
        return masks

    def rles(self) -> list[dict[str, Any]]:
        """Returns the N masks as COCO's compressed RLE, without all of them in memory at once."""
        from pycocotools import mask as rle_tools

        rles = []
        for rows, columns, pasted in self._pasted():
            mask = np.zeros(self.size, dtype=np.uint8, order='F')
            mask[rows, columns] = pasted
            rle = rle_tools.encode(mask)
            rles.append(dict(size=list(self.size), counts=rle['counts'].decode()))
        return rles

    def to_coco(self, image_id: int | str, category_ids: Sequence[Any]) -> list[dict[str, Any]]:
        """Returns the N entries of a COCO results file, with ``mask_iou`` and ``mask_score``.

        Args:
            image_id: of the annotation file.
            category_ids: of the annotation file, one for each label.
        """
        corners = self.bboxes.astype(float)
        boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], 1).tolist()
        scores = dict(score=self.scores, mask_iou=self.mask_ious, mask_score=self.mask_scores)
        return [
            dict(
                image_id=image_id,
                category_id=category_ids[label],
                bbox=box,
                segmentation=rle,
                **{name: float(values[index]) for name, values in scores.items()},
            )
            for index, (label, box, rle) in enumerate(zip(self.labels, boxes, self.rles()))
        ]

    def _pasted(self) -> Iterator[tuple[slice, slice, NDArray[np.bool_]]]:
        """Yields of each mask the window around its box, rows and columns, and its pixels there.

        One at a time: windows differ in size.
        """
        for probs, (x1, y1, x2, y2) in zip(self.mask_probs, self.bboxes):
            rows, of_rows = _interpolation(y1, y2, self.size[0], probs.shape[0])
            columns, of_columns = _interpolation(x1, x2, self.size[1], probs.shape[1])
            yield rows, columns, of_rows @ probs @ of_columns.T >= self.mask_threshold


def _interpolation(
    start: np.float32, end: np.float32, limit: int, cells: int
) -> tuple[slice, NDArray[np.float32]]:
    """Finds the pixels around a side of a box, and how they mix the ``cells`` of the mask.

    Bilinear, with zeros around the mask and pixels at their centers, as mmdet does it.

    Returns:
        the pixels; (pixels, cells) weights.
    """
    first = max(int(np.floor(start)) - 1, 0)
    last = max(min(int(np.ceil(end)) + 1, limit), first)
    centers = np.arange(first, last, dtype=np.float32) + np.float32(0.5) - start
    # A side without length shows the middle of the mask.
    relative = centers / (end - start) if end > start else np.full_like(centers, 0.5)
    places = relative * cells - np.float32(0.5)
    distances = np.abs(places[:, None] - np.arange(cells, dtype=np.float32))
    return slice(first, last), np.maximum(1 - distances, 0).astype(np.float32)
