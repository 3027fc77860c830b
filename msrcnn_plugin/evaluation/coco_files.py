"""Reads ground truth and results in COCO's format, and refuses what would give a wrong number."""

from __future__ import annotations

import os
import types
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as mask_utils

from . import coco_schema
from .coco_ids import id_order, number_category_lists, number_references, original_entries, repeated
from .coco_masks import clean_masks, compressed
from .coco_schema import JSONSource, label, refuse

# pycocotools keeps four times this number in 8 bits, and numpy 2 refuses what does not fit.
_BATCH = 60
_USUAL_SCORES = (
    *('score', 'mask_score', 'mask_iou', 'uncalibrated_mask_iou'),
    *('mask_mean_prob', 'mask_stability'),
)


@dataclass(frozen=True)
class GroundTruth:
    """The ground truth of a data set, under numbers of its own.

    A file's id is a name: text, an integer of any size or a whole float. ``dataset`` replaces it by
    a number from 1, so that pycocotools gives the figures that it gives for small integers.

    Attributes:
        source: the file, as messages name it.
        dataset: what ``COCO.dataset`` takes: images, annotations (masks as polygons or compressed
            RLE, with area, bbox and iscrowd) and categories.
        image_ids: the file's id of image ``n`` at place ``n - 1``; sorted, texts last.
        annotation_ids: the same for annotations, in the file's order.
        category_ids: the same for categories; sorted.
    """

    source: str
    dataset: dict[str, list[dict[str, Any]]]
    image_ids: list[Any]
    annotation_ids: list[Any]
    category_ids: list[Any]

    def sizes(self, entries: Sequence[dict]) -> list[tuple[int, int]]:
        """Returns height and width of the image of each annotation or result."""
        images = [(image['height'], image['width']) for image in self.dataset['images']]
        return [images[entry['image_id'] - 1] for entry in entries]

    def original_listings(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Returns images and categories under the file's ids."""
        images, categories = self.dataset['images'], self.dataset['categories']
        return (
            original_entries(images, self.image_ids, self.category_ids),
            original_entries(categories, self.category_ids, self.category_ids),
        )


@dataclass(frozen=True)
class Results:
    """Detections of a `GroundTruth`, under its numbers.

    Attributes:
        source: the file, as messages name it.
        dataset: as in `GroundTruth`; the annotations are the detections in the file's order, their
            masks as compressed RLE, their area and bbox those of the mask.
        scores: of each score's key in the file, the values (N,) in the same order.
    """

    source: str
    dataset: dict[str, list[dict[str, Any]]]
    scores: dict[str, NDArray[np.float64]]


@coco_schema.paused_gc()
def read_ground_truth(source: JSONSource, *, required: Collection[str] = ()) -> GroundTruth:
    """Reads a COCO annotation file, or the dict that one holds.

    A missing ``iscrowd`` is 0, and true and false are 1 and 0. A missing ``area`` or ``bbox`` is
    taken from the mask; COCO's small, medium and large then go by the masks' pixels. What lies
    outside the image is cut off, as pycocotools does; a polygon that lies outside it whole is
    refused.

    Args:
        required: optional fields that every entry must have here: ``file_name`` where images are
            read, ``area`` and ``bbox`` where mmdet reads the file.

    Raises:
        ValueError: names file, entry, field, value and what was expected, of the first five
            problems, and their count.
        OSError: the file cannot be read.
    """
    name = os.fspath(source) if isinstance(source, (str, os.PathLike)) else 'the ground truth'
    content = coco_schema.decode_ground_truth(source, name)
    images, annotations = content['images'], content['annotations']
    categories = content['categories']
    refuse(
        name,
        _missing(images, 'images', {'file_name'} & set(required))
        + _missing(annotations, 'annotations', {'area', 'bbox', 'iscrowd'} & set(required))
        + repeated(images, 'images', 'id')
        + repeated(annotations, 'annotations', 'id')
        + repeated(categories, 'categories', 'id')
        + repeated(images, 'images', 'file_name')
        + repeated(categories, 'categories', 'name'),
    )
    annotation_ids = [annotation['id'] for annotation in annotations]
    images, categories = sorted(images, key=id_order), sorted(categories, key=id_order)
    truth = GroundTruth(
        name,
        {'images': images, 'annotations': annotations, 'categories': categories},
        [image['id'] for image in images],
        annotation_ids,
        [category['id'] for category in categories],
    )
    problems = number_references(annotations, 'annotations', truth.image_ids, truth.category_ids)
    problems += number_category_lists(images, truth.category_ids)
    refuse(name, problems)
    sizes = truth.sizes(annotations)
    found = clean_masks(annotations, sizes)
    refuse(
        name,
        [
            f'{label("annotations", place, {"id": annotation_ids[place]})}: {problem}'
            for place, problem in found.items()
        ],
    )
    for section in (images, annotations, categories):
        for number, entry in enumerate(section, 1):
            entry['id'] = number
    for annotation, size in zip(annotations, sizes):
        annotation['iscrowd'] = int(annotation.get('iscrowd', 0))
        if 'area' not in annotation or 'bbox' not in annotation:
            rle = compressed(annotation['segmentation'], size)
            annotation.setdefault('area', float(mask_utils.area(rle)))
            annotation.setdefault('bbox', mask_utils.toBbox(rle).tolist())
    return truth


@coco_schema.paused_gc()
def read_results(
    source: JSONSource,
    ground_truth: GroundTruth,
    *,
    scores: Sequence[str] = ('score',),
) -> Results:
    """Reads a file of instance masks in COCO's results format, or the list that one holds.

    A list without entries means that nothing was detected. An entry's ``bbox`` is not read: areas
    are those of the masks, as in mmdet and detectron2.

    Args:
        scores: keys that every entry must have. ``mask_score``, ``mask_iou``,
            ``mask_mean_prob`` and ``mask_stability`` are read as well where all entries have them.

    Raises:
        ValueError: as `read_ground_truth`.
        OSError: the file cannot be read.
    """
    name = os.fspath(source) if isinstance(source, (str, os.PathLike)) else 'the results'
    taken = {'image_id', 'category_id', 'segmentation'} & set(scores)
    if taken:
        raise ValueError(f'{sorted(taken)} are no scores: name numeric keys of the results')
    keys = dict.fromkeys([*_USUAL_SCORES, *scores])
    further = {key: coco_schema.Score for key in keys if key != 'score'}
    kind = types.new_class(
        'ScoredResult',
        (coco_schema.Result,),
        {'total': False},
        lambda space: space.update(__annotations__=further),
    )
    entries = coco_schema.decode_results(source, name, kind)
    counts = {key: sum(key in entry for entry in entries) for key in keys}
    used = [key for key in keys if key in scores or counts[key] or key == 'score']
    problems = [
        f'`{key}` is given by {counts[key]} of {len(entries)} results; '
        'give it for every result or ask for another score'
        for key in used
        if counts[key] < len(entries)
    ]
    problems += number_references(entries, '', ground_truth.image_ids, ground_truth.category_ids)
    refuse(name, problems)
    sizes = ground_truth.sizes(entries)
    found = clean_masks(entries, sizes)
    image_ids = ground_truth.image_ids
    refuse(
        name,
        [
            f'{label("", place, {"image_id": image_ids[entries[place]["image_id"] - 1]})}: {text}'
            for place, text in found.items()
        ],
    )
    values = {key: np.array([entry[key] for entry in entries], dtype=float) for key in used}
    masks = [compressed(entry['segmentation'], size) for entry, size in zip(entries, sizes)]
    areas: list[float] = []
    boxes: list[list[float]] = []
    for start in range(0, len(masks), _BATCH):
        areas += mask_utils.area(masks[start : start + _BATCH]).tolist()
        boxes += mask_utils.toBbox(masks[start : start + _BATCH]).tolist()
    for number, (entry, mask, area, box) in enumerate(zip(entries, masks, areas, boxes), 1):
        entry.update(id=number, segmentation=mask, area=float(area), bbox=box, iscrowd=0)
    dataset = ground_truth.dataset
    return Results(
        name,
        {
            'images': dataset['images'],
            'annotations': entries,
            'categories': dataset['categories'],
        },
        values,
    )


def _missing(entries: Sequence[Any], section: str, fields: Collection[str]) -> list[str]:
    return [
        f'{label(section, place, entry)}: `{field}` is missing, which is needed here'
        for place, entry in enumerate(entries)
        for field in sorted(fields)
        if field not in entry
    ]
