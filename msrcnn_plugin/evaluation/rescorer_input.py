"""Reads what a rescorer is fitted and applied to, and refuses what it cannot learn from."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .coco import match_files
from .coco_files import GroundTruth, Results, read_ground_truth, read_results
from .coco_schema import JSONSource, decode_results, label
from .matches import Matches

FEWEST_IMAGES = 20


def read_for_fit(
    annotations: JSONSource, results: JSONSource, features: Sequence[str]
) -> tuple[GroundTruth, Results, Matches]:
    """Reads both files with the scores that are learnt from, and matches them.

    Raises:
        ValueError: what cannot be read, too few images, nothing to learn.
    """
    truth = read_ground_truth(annotations)
    found = _read_results(results, truth, features)
    images = len({entry['image_id'] for entry in found.dataset['annotations']})
    if images < FEWEST_IMAGES:
        raise ValueError(
            f'{found.source} has detections in {images} images, expected {FEWEST_IMAGES} or more: '
            'fit on more images'
        )
    matches = match_files(truth, found)
    if not matches.true_iou.any():
        raise ValueError(
            f'{found.source}: no detection overlaps an object of its class: are these the '
            'annotations of its images?'
        )
    if (matches.is_best_of_object & (matches.best_gt >= 0)).all():
        raise ValueError(
            f'{found.source}: each detection is the best of its object; without a duplicate and '
            'a false detection there is nothing to learn'
        )
    return truth, found, matches


def read_for_apply(
    results: JSONSource, categories: Sequence[Mapping[str, Any]], features: Sequence[str]
) -> tuple[list[dict[str, Any]], Results]:
    """Reads results without annotations: their entries as they are, and checked.

    Raises:
        ValueError: what cannot be read, masks that do not tell their image's size, other classes.
    """
    name = os.fspath(results) if isinstance(results, (str, os.PathLike)) else 'the results'
    entries = decode_results(results, name, dict)
    known = [category['id'] for category in categories]
    sizes: dict[Any, Any] = {}
    for place, entry in enumerate(entries):
        try:
            height, width = entry['segmentation']['size']
            sizes.setdefault(entry['image_id'], (height, width))
            category = entry['category_id']
        except (LookupError, TypeError, ValueError) as error:
            raise ValueError(
                f'{name}: {label("", place, entry)} is no result with a run-length encoded mask; '
                'boxes are not enough, and polygons do not tell the size of the image'
            ) from error
        if category not in known:
            raise ValueError(
                f'{name}: {label("", place, entry)} has the category {category!r}, the rescorer '
                f'was fitted for {known}: fit one for these classes'
            )
    images = [
        {'id': identity, 'height': height, 'width': width}
        for identity, (height, width) in sizes.items()
    ]
    truth = read_ground_truth({'images': images, 'annotations': [], 'categories': list(categories)})
    return entries, _read_results(results, truth, features)


def _read_results(results: JSONSource, truth: GroundTruth, features: Sequence[str]) -> Results:
    found = read_results(results, truth, scores=('score', *features))
    scores = found.scores['score']
    outside = np.flatnonzero((scores < 0) | (scores > 1))
    if len(outside):
        raise ValueError(
            f'{found.source}: [{outside[0]}] has the score {scores[outside[0]]:g}, expected a '
            'probability from 0 to 1: scale the scores'
        )
    return found
