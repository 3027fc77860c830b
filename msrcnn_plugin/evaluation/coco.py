"""Evaluates masks of any model from its COCO files, without the model."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as mask_utils

from .coco_reader import read_ground_truth, read_results
from .matches import Protocol
from .matching import RLE, Masks, match_masks
from .result import MaskScoringResult

# Read wherever the results have them: estimates of the true IoU, and what derived rankings need.
_ALWAYS_READ = ('mask_iou', 'mask_mean_prob', 'uncalibrated_mask_iou')


def evaluate_coco(
    annotations: str | os.PathLike | Mapping[str, Any],
    results: str | os.PathLike | Sequence[Mapping[str, Any]],
    scores: Sequence[str] = ('score', 'mask_score'),
    *,
    max_dets: Sequence[int] = (1, 10, 100),
) -> MaskScoringResult:
    """Ranks the masks of a results file by each of their scores and by the true IoU.

    Equal to pycocotools' own evaluation, run once for each score.

    Args:
        annotations: COCO ground truth, a path or loaded JSON.
        results: COCO results with masks, a path or loaded JSON: a list of ``image_id``,
            ``category_id``, ``segmentation``, ``score`` and any further numbers.
        scores: keys of the results to rank by, ``score`` always among them. A key that no result
            has is left out. ``mask_iou``, ``mask_mean_prob`` and ``uncalibrated_mask_iou`` are read
            wherever the results have them.
        max_dets: limits on the detections of a category in an image, as in pycocotools. The main AP
            counts 100, the other figures the third. `MaskScoringMetric` has (100, 300, 1000).

    Raises:
        ValueError: files that are no COCO files or do not fit each other; a score that some results
            lack, or that is no finite number.

    Example:
        >>> square = [[0, 0, 8, 0, 8, 8, 0, 8]]
        >>> truth = {
        ...     'images': [{'id': 1, 'height': 20, 'width': 20}],
        ...     'categories': [{'id': 1, 'name': 'cell'}],
        ...     'annotations': [{'id': 1, 'image_id': 1, 'category_id': 1, 'iscrowd': 0,
        ...                      'area': 64, 'segmentation': square}],
        ... }
        >>> found = [{'image_id': 1, 'category_id': 1, 'score': 0.9, 'segmentation': square}]
        >>> round(evaluate_coco(truth, found).figures['segm_mAP'], 6)
        1.0
    """
    ground_truth = read_ground_truth(annotations)
    found = read_results(results, ground_truth)
    keys = dict.fromkeys(('score', *scores, *_ALWAYS_READ))
    columns = {key: _column(found, key) for key in keys}
    sizes = {i['id']: (i['height'], i['width']) for i in ground_truth['images']}
    images = {identity: number for number, identity in enumerate(_ascending(sizes))}
    names = {category['id']: category['name'] for category in ground_truth['categories']}
    names = {identity: names[identity] for identity in _ascending(names)}
    numbers = {identity: number for number, identity in enumerate(names)}

    def places(items: Sequence[Mapping]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return (
            np.array([images[item['image_id']] for item in items], dtype=np.int64),
            np.array([numbers[item['category_id']] for item in items], dtype=np.int64),
        )

    listed = [
        item
        for item in ground_truth['annotations']
        if item['image_id'] in images and item['category_id'] in numbers
    ]
    rles = _rles(found, sizes)
    # One at a time: of more than 255 masks, pycocotools 2.0.11 with numpy 2 make an OverflowError.
    area = np.array([mask_utils.area(rle) for rle in rles], dtype=float)
    box = np.array([mask_utils.toBbox(rle) for rle in rles], dtype=float).reshape(-1, 4)
    box[:, 2:] += box[:, :2]
    matches = match_masks(
        Masks(rles, *places(found), area=area),
        Masks(
            _rles(listed, sizes),
            *places(listed),
            area=np.array([item['area'] for item in listed], dtype=float),
            crowd=np.array([bool(item.get('iscrowd', 0)) for item in listed], dtype=bool),
            id_is_zero=np.array([item['id'] == 0 for item in listed], dtype=bool),
        ),
        image_ids=list(images),
        categories=names,
        scores={key: values for key, values in columns.items() if values is not None},
        box=box,
        protocol=Protocol(max_dets=tuple(sorted(max_dets))),
    )
    return MaskScoringResult.from_matches(matches)


def _ascending(ids: Mapping[Any, Any]) -> list[Any]:
    return sorted(ids, key=lambda identity: (isinstance(identity, str), identity))


def _column(results: Sequence[Mapping[str, Any]], key: str) -> NDArray[np.float64] | None:
    """One score (N,); None where no result has it."""
    values = [item[key] for item in results if key in item]
    if not values and (results or key != 'score'):
        if key == 'score' and results:
            raise ValueError('no result has a `score`, which every detection needs')
        return None
    if len(values) < len(results):
        raise ValueError(
            f'`{key}` is given for {len(values)} of {len(results)} results; give it for all or none'
        )
    for place, value in enumerate(values):
        is_number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
        if not is_number or not np.isfinite(value):
            raise ValueError(f'result {place}: `{key}` is {value!r}, expected a finite number')
    return np.array(values, dtype=float)


def _rles(items: Sequence[Mapping[str, Any]], sizes: Mapping[Any, tuple[int, int]]) -> list[RLE]:
    """Masks as compressed RLE: of polygons, compressed or uncompressed RLE."""
    return [as_rle(item['segmentation'], *sizes[item['image_id']]) for item in items]


def as_rle(segmentation: Any, height: int, width: int) -> RLE:
    """A COCO segmentation as compressed RLE: polygons, compressed or uncompressed RLE."""
    if isinstance(segmentation, list):
        return mask_utils.merge(mask_utils.frPyObjects(segmentation, height, width))
    if isinstance(segmentation['counts'], list):
        return mask_utils.frPyObjects(segmentation, height, width)
    return segmentation
