"""How the predicted masks overlap the ground truth: counted once, used by every ranking.

Shapes: ``N`` detections and ``G`` ground truths of the whole data set, ``P`` pairs of them that
COCO's rule could ever match, ``D`` detections and ``T`` ground truths of one category in one image
(a *group*).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as mask_utils

Annotation = Mapping[str, Any]

# COCOeval accepts a pair at threshold 1 when its IoU reaches this.
HIGHEST_THRESHOLD = 1 - 1e-10


def pairwise_mask_iou(
    detections: Sequence[Mapping], truths: Sequence[Mapping], crowd: Sequence[int]
) -> NDArray[np.float64]:
    """IoU of each detection with each ground truth, (D, T) in [0, 1]; ``D`` or ``T`` may be 0.

    Masks are COCO run-length encodings. With a crowd region ``c`` the union is the detection's own
    area, ``|d & c| / |d|``, as COCO defines it.
    """
    if not detections or not truths:
        return np.zeros((len(detections), len(truths)))
    ious = mask_utils.iou(list(detections), list(truths), [int(value) for value in crowd])
    if ious.min() < 0:  # pycocotools answers -1 for masks of different size
        row, column = np.argwhere(ious < 0)[0]
        raise ValueError(
            f'a predicted mask is {tuple(detections[row]["size"])} pixels (height, width), its '
            f'ground truth {tuple(truths[column]["size"])}. Both need the size of the original '
            'image: check `ori_shape` of the predictions, `height` and `width` in the annotations.'
        )
    return ious


def true_mask_iou(ious: NDArray, crowd: NDArray[np.bool_]) -> NDArray[np.float64]:
    """True MaskIoU of each detection: its largest IoU with a ground truth that is no crowd, else 0.

    Args:
        ious: (D, T), of one category in one image.
        crowd: (T,), True for a crowd region.

    Example:
        >>> ious = np.array([[.2, .7, .9], [0, 0, 1]])
        >>> true_mask_iou(ious, np.array([False, False, True])).tolist()
        [0.7, 0.0]
    """
    return ious[:, ~crowd].max(axis=1, initial=0)


@dataclass(frozen=True)
class Overlaps:
    """Everything that AP under any ranking needs to know about the masks.

    Detections stand group by group: images ascending, categories ascending within an image, and
    within a group as the host listed them, the order in which COCO ranks equal scores.
    """

    detection_id: NDArray[np.int64]  # (N,) running number in COCO's results, from 1
    detection_score: NDArray[np.float64]  # (N,) what the host ranks by
    detection_area: NDArray[np.float64]  # (N,) pixels
    detection_group: NDArray[np.int64]  # (N,) ascending
    detection_category: NDArray[np.int64]  # (N,) index into the sorted category ids
    true_iou: NDArray[np.float64]  # (N,)
    truth_area: NDArray[np.float64]  # (G,) as annotated
    truth_category: NDArray[np.int64]  # (G,)
    truth_crowd: NDArray[np.bool_]  # (G,)
    truth_id_is_zero: NDArray[np.bool_]  # (G,) COCOeval takes id 0 for "not matched"
    truth_image: NDArray | None  # (G,) image ids as annotated, None where they were not kept
    pair_detection: NDArray[np.int64]  # (P,) index into the detections
    pair_truth: NDArray[np.int64]  # (P,) index into the ground truths
    pair_iou: NDArray[np.float64]  # (P,) at least the lowest threshold


class OverlapCollector:
    """Takes the groups one by one and keeps of each IoU matrix only the pairs that can match."""

    def __init__(self, lowest_threshold: float) -> None:
        self._lowest = min(lowest_threshold, HIGHEST_THRESHOLD)
        self._groups: list[tuple[int, int]] = []  # category, detections
        self._detections: list[tuple] = []
        self._truths: list[tuple] = []
        self._true_iou: list[NDArray] = []
        self._pairs: list[tuple[NDArray, NDArray, NDArray]] = []

    def add(
        self,
        category: int,
        detections: Sequence[Annotation],
        truths: Sequence[Annotation],
        ious: NDArray,
    ) -> None:
        """Adds one group; ``ious`` (D, T) has the order of ``detections`` and ``truths``."""
        if ious.size:
            rows, columns = np.nonzero(ious >= self._lowest)
            pairs = rows + len(self._detections), columns + len(self._truths), ious[rows, columns]
            self._pairs.append(pairs)
        crowd = np.array([truth['iscrowd'] for truth in truths], dtype=bool)
        self._true_iou.append(true_mask_iou(ious, crowd) if truths else np.zeros(len(detections)))
        self._groups.append((category, len(detections)))
        self._detections.extend((item['id'], item['score'], item['area']) for item in detections)
        self._truths.extend(
            (item['area'], category, item['iscrowd'], item['id'] == 0, item['image_id'])
            for item in truths
        )

    def collected(self) -> Overlaps:
        categories, counts = np.array(self._groups, dtype=np.int64).reshape(-1, 2).T
        ids, scores, areas = _columns(self._detections, 3)
        truth_areas, truth_categories, crowd, id_is_zero, images = _columns(self._truths, 5)
        rows, columns, ious = (_joined(parts) for parts in _columns(self._pairs, 3))
        return Overlaps(
            detection_id=np.array(ids, dtype=np.int64),
            detection_score=np.array(scores, dtype=np.float64),
            detection_area=np.array(areas, dtype=np.float64),
            detection_group=np.repeat(np.arange(len(counts)), counts),
            detection_category=np.repeat(categories, counts),
            true_iou=_joined(self._true_iou),
            truth_area=np.array(truth_areas, dtype=np.float64),
            truth_category=np.array(truth_categories, dtype=np.int64),
            truth_crowd=np.array(crowd, dtype=bool),
            truth_id_is_zero=np.array(id_is_zero, dtype=bool),
            truth_image=np.array(images),
            pair_detection=rows.astype(np.int64),
            pair_truth=columns.astype(np.int64),
            pair_iou=ious,
        )


def _columns(rows: Sequence[tuple], width: int) -> list[tuple]:
    return list(zip(*rows)) if rows else [()] * width


def _joined(parts: Sequence[NDArray]) -> NDArray:
    return np.concatenate(parts) if len(parts) else np.zeros(0)
