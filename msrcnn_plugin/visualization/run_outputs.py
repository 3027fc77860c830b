"""Reads what a test run left: the ground truth, CocoMetric's mask results, the metric's pairs."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle_tools

from ..evaluation import MaskScoringPairs
from .scored_image import ScoredImage


def read_scored_images(
    ann_file: str | os.PathLike,
    image_folder: str | os.PathLike,
    results_file: str | os.PathLike,
    pairs_file: str | os.PathLike,
    *,
    min_score: float = 0.3,
    max_detections: int = 8,
) -> tuple[list[ScoredImage], list[str]]:
    """The images that have a detection of class score ``min_score`` or more, and the class names.

    Args:
        ann_file: COCO annotations.
        image_folder: where its ``file_name`` are found.
        results_file: ``PREFIX.segm.json`` of a ``MaskScoringMetric(outfile_prefix=PREFIX)``.
        pairs_file: what the same metric wrote as ``pairs_file``.
        max_detections: of an image, those with the highest class scores.
    """
    coco = json.loads(Path(ann_file).read_text())
    results = json.loads(Path(results_file).read_text())
    pairs = MaskScoringPairs.load(pairs_file)
    _check_same_run(results, pairs, results_file, pairs_file)
    truths = defaultdict(list)
    for annotation in coco['annotations']:
        if not annotation.get('iscrowd', 0):
            truths[annotation['image_id']].append(annotation)
    images = []
    for image in coco['images']:
        chosen = np.flatnonzero((pairs.image_id == image['id']) & (pairs.box_score >= min_score))
        chosen = chosen[np.argsort(-pairs.box_score[chosen], kind='stable')][:max_detections]
        if len(chosen):
            path = Path(image_folder) / image['file_name']
            images.append(_scored_image(path, truths[image['id']], results, pairs, chosen))
    return images, [str(name) for name in pairs.category_names]


def _check_same_run(
    results: Sequence[Mapping], pairs: MaskScoringPairs, results_file: Any, pairs_file: Any
) -> None:
    if pairs.predicted_iou is None:
        raise ValueError(f'{pairs_file} has no predicted MaskIoU: test a model with a MaskIoU head')
    scores = np.array([result['score'] for result in results])
    if len(scores) != len(pairs) or not np.allclose(scores, pairs.mask_score):
        raise ValueError(
            f'{results_file} ({len(scores)} masks) and {pairs_file} ({len(pairs)}) are not of one '
            'test run: write both with one MaskScoringMetric(outfile_prefix=..., pairs_file=...)'
        )


def _scored_image(
    path: Path,
    truths: Sequence[Mapping],
    results: Sequence[Mapping],
    pairs: MaskScoringPairs,
    chosen: NDArray[np.int64],
) -> ScoredImage:
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise FileNotFoundError(f'{path} is no readable image: give the folder of the test images')
    size = bgr.shape[:2]
    return ScoredImage(
        image=np.ascontiguousarray(bgr[..., ::-1]),
        masks=_masks([results[i]['segmentation'] for i in chosen], *size),
        labels=_labels(pairs.category_id[chosen], pairs.category_ids),
        scores=pairs.box_score[chosen],
        mask_ious=pairs.predicted_iou[chosen],
        true_ious=pairs.true_iou[chosen],
        truth_masks=_masks([truth['segmentation'] for truth in truths], *size),
        truth_labels=_labels([truth['category_id'] for truth in truths], pairs.category_ids),
    )


def _labels(category_ids: Any, all_ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Place of each category among all of them."""
    places = {int(category): place for place, category in enumerate(all_ids)}
    return np.array([places[int(category)] for category in category_ids], dtype=np.int64)


def _masks(segmentations: Sequence[Any], height: int, width: int) -> NDArray[np.bool_]:
    """(n, H, W) of COCO segmentations: polygons, compressed or uncompressed RLE."""
    masks = np.zeros((len(segmentations), height, width), dtype=bool)
    for mask, segmentation in zip(masks, segmentations):
        if isinstance(segmentation, list):
            rle = rle_tools.merge(rle_tools.frPyObjects(segmentation, height, width))
        elif isinstance(segmentation['counts'], list):
            rle = rle_tools.frPyObjects(segmentation, height, width)
        else:
            rle = segmentation
        mask[:] = rle_tools.decode(rle)
    return masks
