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

from ..evaluation import Matches, pairwise_rle_iou
from ..evaluation.input_checks import check_image_names, read_annotations
from .gallery import Gallery, MisjudgedMask, crop_window, most_overrated, most_underrated
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
    pairs = Matches.load(pairs_file)
    if pairs.predicted_iou is None:
        raise ValueError(f'{pairs_file} has no predicted MaskIoU: test a model with a MaskIoU head')
    _check_same_run(results, pairs, results_file)
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


def read_gallery(
    pairs: Matches,
    ann_file: str | os.PathLike,
    image_folder: str | os.PathLike,
    results_file: str | os.PathLike,
    *,
    count: int = 6,
) -> Gallery:
    """The ``count`` masks that the class score overrates most, and as many that it underrates.

    Args:
        pairs: of the same test run as ``results_file``.
        ann_file: COCO annotations.
        image_folder: where its ``file_name`` are found.
        results_file: ``PREFIX.segm.json`` of a ``MaskScoringMetric(outfile_prefix=PREFIX)``.

    Raises:
        ValueError: files of different runs or data sets, or that cannot be read as what they are.
        FileNotFoundError: a file or an image is missing.
    """
    coco = read_annotations(ann_file)
    check_image_names(coco, str(ann_file))
    results = _read_results(results_file)
    _check_same_run(results, pairs, results_file)
    truths = defaultdict(list)
    for annotation in coco['annotations']:
        if not annotation['iscrowd']:
            truths[annotation['image_id'], annotation['category_id']].append(annotation)
    images = {image['id']: image for image in coco['images']}
    names = dict(zip(pairs.category_ids.tolist(), pairs.category_names.tolist()))

    def case(place: int) -> MisjudgedMask:
        image = _listed(images, pairs.image_id[place].item(), ann_file)
        category = int(pairs.category_id[place])
        pixels = _read_image(Path(image_folder) / image['file_name'])
        mask = _masks([results[place]['segmentation']], *pixels.shape[:2])[0]
        truth = _best_truth(mask, truths[image['id'], category])
        window = crop_window(_bounds(mask | truth), mask.shape)
        predicted = pairs.predicted_iou
        return MisjudgedMask(
            image=pixels[window],
            mask=mask[window],
            truth=truth[window],
            image_name=Path(image['file_name']).name,
            class_name=names[category],
            class_score=float(pairs.box_score[place]),
            predicted_iou=None if predicted is None else float(predicted[place]),
            true_iou=float(pairs.true_iou[place]),
        )

    return Gallery(
        overrated=tuple(case(place) for place in most_overrated(pairs, count)),
        underrated=tuple(case(place) for place in most_underrated(pairs, count)),
    )


def _read_results(path: str | os.PathLike) -> list[dict]:
    try:
        results = json.loads(Path(path).read_text(encoding='utf-8'))
    except ValueError as error:
        raise ValueError(f'{path} is no file of COCO results: {error}') from error
    if not isinstance(results, list) or not all('segmentation' in item for item in results):
        raise ValueError(f'{path} holds no masks: give the PREFIX.segm.json of the test run')
    return results


def _listed(images: Mapping[Any, Mapping], image: Any, ann_file: Any) -> Mapping:
    if image not in images:
        raise ValueError(
            f'prediction for image {image!r}, which {ann_file} does not list '
            f'({len(images)} images): give the annotations of the data set that was predicted'
        )
    return images[image]


def _best_truth(mask: NDArray[np.bool_], truths: Sequence[Mapping]) -> NDArray[np.bool_]:
    """The ground truth (H, W) that a mask (H, W) meets best; empty where there is none."""
    if not truths:
        return np.zeros_like(mask)
    masks = _masks([truth['segmentation'] for truth in truths], *mask.shape)
    encoded = [rle_tools.encode(np.asfortranarray(m.astype(np.uint8))) for m in (mask, *masks)]
    return masks[int(pairwise_rle_iou(encoded[:1], encoded[1:], [0] * len(masks)).argmax())]


def _bounds(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """x1, y1, x2, y2 of a mask's pixels; of the whole image where it has none."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return 0, 0, mask.shape[1], mask.shape[0]
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _check_same_run(results: Sequence[Mapping], pairs: Matches, results_file: Any) -> None:
    scores = np.array([result['score'] for result in results])
    if len(scores) != len(pairs) or not np.allclose(scores, pairs.mask_score):
        raise ValueError(
            f'{results_file} ({len(scores)} masks) and the pairs ({len(pairs)}) are not of one '
            'test run: write both with one MaskScoringMetric(outfile_prefix=..., pairs_file=...)'
        )


def _read_image(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) RGB."""
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR) if path.is_file() else None
    if bgr is None:
        raise FileNotFoundError(f'{path} is no readable image: give the folder of the test images')
    return np.ascontiguousarray(bgr[..., ::-1])


def _scored_image(
    path: Path,
    truths: Sequence[Mapping],
    results: Sequence[Mapping],
    pairs: Matches,
    chosen: NDArray[np.int64],
) -> ScoredImage:
    pixels = _read_image(path)
    size = pixels.shape[:2]
    return ScoredImage(
        image=pixels,
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
