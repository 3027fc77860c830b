"""Counts how predicted masks overlap the ground truth, once, for every ranking.

Shapes: ``N`` detections and ``G`` ground truths of a data set; ``D`` detections and ``T`` ground
truths of one category in one image, a *group*.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as mask_utils

from ..progress import progress_bar
from .assignment import HIGHEST_THRESHOLD
from .matches import Matches, Protocol

RLE = Mapping[str, Any]
PairwiseIoU = Callable[..., NDArray[np.float64]]


def pairwise_rle_iou(
    detections: Sequence[RLE], gts: Sequence[RLE], crowd: Sequence[int] | NDArray[np.bool_]
) -> NDArray[np.float64]:
    """IoU of each detection with each ground truth, (D, T) in [0, 1]; ``D`` or ``T`` may be 0.

    Masks are COCO run-length encodings. With a crowd region ``c`` the union is the detection's own
    area, ``|d & c| / |d|``, as COCO defines it.
    """
    if not len(detections) or not len(gts):
        return np.zeros((len(detections), len(gts)))
    sizes = [{tuple(mask['size']) for mask in masks} for masks in (detections, gts)]
    if len(sizes[0] | sizes[1]) > 1:  # pycocotools notices only where the boxes overlap
        raise ValueError(
            f'predicted masks are {sorted(sizes[0])} pixels (height, width), their ground truth '
            f'{sorted(sizes[1])}. Both need the size of the original image: check `ori_shape` of '
            'the predictions, `height` and `width` in the annotations.'
        )
    return mask_utils.iou(list(detections), list(gts), [int(value) for value in crowd])


@dataclass(frozen=True)
class Masks:
    """Masks of a data set, detections or ground truths, in the order of their file; ``n`` of them.

    ``image`` and ``category`` are indices into the ascending ids of the data set.
    """

    rles: Sequence[RLE]
    image: NDArray[np.int64]  # (n,)
    category: NDArray[np.int64]  # (n,)
    area: NDArray[np.float64]  # (n,) pixels; of a ground truth as annotated
    crowd: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))
    id_is_zero: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))
    not_exhaustive: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))


def match_masks(
    detections: Masks,
    ground_truth: Masks,
    *,
    image_ids: Sequence[Any],
    categories: Mapping[Any, str],
    scores: Mapping[str, NDArray],
    box: NDArray,
    protocol: Protocol,
    result_index: NDArray[np.int64] | None = None,
    frequencies: Sequence[str] = (),
    pairwise_iou: PairwiseIoU = pairwise_rle_iou,
) -> Matches:
    """Matches detections with ground truths of their image and category.

    Args:
        detections: in the order of the results.
        image_ids: ascending.
        categories: names by id, ids ascending.
        scores: (N,) each, by key, in the order of the results.
        box: (N, 4) x1, y1, x2, y2 in pixels, in the order of the results.
        result_index: (N,) the place of each detection in the results; None means that all are here.
        frequencies: of the categories, in LVIS.
        pairwise_iou: takes the arguments of `pairwise_rle_iou`.
    """
    order, gt_order = (np.lexsort((m.category, m.image)) for m in (detections, ground_truth))
    count, unknown = len(order), detections.not_exhaustive
    true_iou, best_gt = np.zeros(count), np.full(count, -1)
    lowest = min(float(np.min(protocol.iou_thresholds)), HIGHEST_THRESHOLD)
    pairs: list[tuple[NDArray, NDArray, NDArray]] = []
    groups = list(_groups(detections, order, ground_truth, gt_order))

    def match(rows: slice, columns: slice) -> None:
        gts = gt_order[columns]
        crowd = ground_truth.crowd[gts]
        ious = pairwise_iou(
            [detections.rles[i] for i in order[rows]], [ground_truth.rles[i] for i in gts], crowd
        )
        first, second = np.nonzero(ious >= lowest)
        pairs.append((first + rows.start, second + columns.start, ious[first, second]))
        if not crowd.all():
            objects = np.flatnonzero(~crowd)
            best = ious[:, objects].argmax(axis=1)
            true_iou[rows] = ious[np.arange(len(ious)), objects[best]]
            best_gt[rows] = np.where(true_iou[rows] > 0, objects[best] + columns.start, -1)

    with progress_bar('Comparing masks', len(groups)) as counted:
        counted_match = counted(match)
        for rows, columns in groups:
            counted_match(rows, columns)
    pair_columns = [np.concatenate(column) for column in zip(*pairs)] or [np.zeros(0)] * 3
    return Matches(
        image_ids=tuple(image_ids),
        category_ids=tuple(categories),
        category_names=tuple(str(name) for name in categories.values()),
        image=detections.image[order],
        category=detections.category[order],
        scores={name: np.asarray(values, float)[order] for name, values in scores.items()},
        true_iou=true_iou,
        best_gt=best_gt,
        area=detections.area[order],
        box=np.asarray(box, dtype=float).reshape(-1, 4)[order],
        result_index=order if result_index is None else result_index[order],
        gt_image=ground_truth.image[gt_order],
        gt_category=ground_truth.category[gt_order],
        gt_area=ground_truth.area[gt_order],
        gt_crowd=ground_truth.crowd[gt_order],
        gt_id_is_zero=ground_truth.id_is_zero[gt_order],
        pair_detection=pair_columns[0].astype(np.int64),
        pair_gt=pair_columns[1].astype(np.int64),
        pair_iou=pair_columns[2],
        protocol=protocol,
        frequencies=tuple(frequencies),
        not_exhaustive=unknown[order] if len(unknown) else unknown,
    )


def _groups(
    detections: Masks, order: NDArray, ground_truth: Masks, gt_order: NDArray
) -> Iterator[tuple[slice, slice]]:
    """Where each group that has both stands in the two orders."""
    width = 1 + max(int(m.category.max(initial=0)) for m in (detections, ground_truth))
    keys, gt_keys = (
        (m.image * width + m.category)[o]
        for m, o in ((detections, order), (ground_truth, gt_order))
    )
    common = np.intersect1d(keys, gt_keys)
    bounds = [
        np.searchsorted(k, common, side) for k in (keys, gt_keys) for side in ('left', 'right')
    ]
    for start, stop, gt_start, gt_stop in zip(*bounds):
        yield slice(start, stop), slice(gt_start, gt_stop)
