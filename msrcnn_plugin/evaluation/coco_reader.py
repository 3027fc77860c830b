"""Reads COCO files as `coco_files` does, but hardly checks them; gives way to it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as mask_utils


@dataclass(frozen=True)
class GroundTruth:
    """As in `coco_files`: ids are numbers from 1, the file's stand in the lists."""

    dataset: dict[str, list[dict[str, Any]]]
    image_ids: list[Any]
    annotation_ids: list[Any]
    category_ids: list[Any]


@dataclass(frozen=True)
class Results:
    """As in `coco_files`."""

    dataset: dict[str, list[dict[str, Any]]]
    scores: dict[str, NDArray[np.float64]]


def read_ground_truth(source: str | os.PathLike | dict) -> GroundTruth:
    """COCO annotations from a path or loaded JSON."""
    content = _loaded(source)
    if not isinstance(content, dict) or {'images', 'annotations', 'categories'} - set(content):
        raise ValueError(f'{source} is no COCO file: images, annotations or categories are missing')
    images, categories = (
        sorted(content[name], key=lambda entry: (isinstance(entry['id'], str), entry['id']))
        for name in ('images', 'categories')
    )
    ids = [[entry['id'] for entry in entries] for entries in (images, categories)]
    numbers = [{identity: n for n, identity in enumerate(listed, 1)} for listed in ids]
    annotations = [
        {**a, 'image_id': numbers[0][a['image_id']], 'category_id': numbers[1][a['category_id']]}
        for a in content['annotations']
        if a['image_id'] in numbers[0] and a['category_id'] in numbers[1]
    ]
    annotation_ids = [a['id'] for a in annotations]
    return GroundTruth(
        {
            'images': [{**image, 'id': n} for n, image in enumerate(images, 1)],
            'annotations': annotations,
            'categories': [{**category, 'id': n} for n, category in enumerate(categories, 1)],
        },
        ids[0],
        annotation_ids,
        ids[1],
    )


def read_results(
    source: str | os.PathLike | list, ground_truth: GroundTruth, *, scores: Sequence[str] = ()
) -> Results:
    """COCO results (detections with masks) from a path or loaded JSON."""
    content = _loaded(source)
    usual = ('score', 'mask_score', 'mask_iou', 'mask_mean_prob')
    keys = [
        key
        for key in dict.fromkeys((*usual, *scores))
        if key in ('score', *scores) or any(key in entry for entry in content)
    ]
    numbers = [
        {identity: n for n, identity in enumerate(listed, 1)}
        for listed in (ground_truth.image_ids, ground_truth.category_ids)
    ]
    columns: dict[str, list[float]] = {key: [] for key in keys}
    entries = []
    for place, entry in enumerate(content):
        for key, column in columns.items():
            value = entry.get(key)
            if isinstance(value, (bool, str)) or value is None or not np.isfinite(value):
                raise ValueError(f'result {place}: `{key}` is {value!r}, expected a finite number')
            column.append(value)
        if entry['image_id'] not in numbers[0] or entry['category_id'] not in numbers[1]:
            raise ValueError(f'result {place}: its image or category is not in the ground truth')
        image = numbers[0][entry['image_id']]
        size = ground_truth.dataset['images'][image - 1]
        rle = compressed(entry['segmentation'], (size['height'], size['width']))
        entries.append(
            {
                'image_id': image,
                'category_id': numbers[1][entry['category_id']],
                'segmentation': rle,
                'area': float(mask_utils.area(rle)),
                'bbox': mask_utils.toBbox(rle).tolist(),
            }
        )
    return Results(
        {**ground_truth.dataset, 'annotations': entries},
        {key: np.array(column, dtype=float) for key, column in columns.items()},
    )


def compressed(segmentation: Any, size: tuple[int, int]) -> dict[str, Any]:
    """A COCO segmentation as compressed RLE: polygons, compressed or uncompressed RLE."""
    if isinstance(segmentation, list):
        return mask_utils.merge(mask_utils.frPyObjects(segmentation, *size))
    if isinstance(segmentation['counts'], list):
        return mask_utils.frPyObjects(segmentation, *size)
    return segmentation


def _loaded(source: Any) -> Any:
    if not isinstance(source, (str, os.PathLike)):
        return source
    try:
        return json.loads(Path(source).read_bytes())
    except ValueError as error:
        raise ValueError(f'{source} is no JSON: {error}') from error
