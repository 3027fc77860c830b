"""Cityscapes' own mask AP, from its annotation images and a results file in COCO format.

It differs from COCO's: an object takes any mask that overlaps it by more than the threshold, and of
several the one of highest score; a mask is ignored where it lies on groups, small objects and
unlabelled pixels for more than the threshold; precision is not made monotone.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as mask_utils

from .coco_files import read_ground_truth, read_results
from .coco_schema import JSONSource
from .matching import RLE, pairwise_rle_iou

SUFFIX = '_gtFine_instanceIds.png'
# Labels with instances, and the pixels that are not evaluated.
CLASSES = {24: 'person', 25: 'rider', 26: 'car', 27: 'truck'}
CLASSES |= {28: 'bus', 31: 'train', 32: 'motorcycle', 33: 'bicycle'}
VOID = (0, 1, 2, 3, 4, 5, 6, 9, 10, 14, 15, 16, 18, 29, 30)
OVERLAPS = np.arange(0.5, 1.0, 0.05)
SMALLEST = 100  # pixels of an object that counts


class _Masks(NamedTuple):
    """What a class needs of its detections (n,): IoU with an object, and where each lies."""

    gt_count: int
    score: NDArray[np.float64]
    gt: NDArray[np.int64]  # the object that counts and that it overlaps most, -1 for none
    gt_iou: NDArray[np.float64]  # with that object
    any_iou: NDArray[np.float64]  # with any object, groups and small ones among them
    ignored_share: NDArray[np.float64]  # of its pixels


def cityscapes_ground_truth(folder: str | os.PathLike) -> dict[str, list[dict[str, Any]]]:
    """Reads the ``*_gtFine_instanceIds.png`` below a folder as COCO annotations.

    An image's id is the name without that ending, such as ``frankfurt_000000_000294``; a category's
    id is Cityscapes' label. Groups are crowds. `evaluate_coco` takes it.

    Raises:
        ValueError: the folder holds none.
    """
    return _read(folder)[0]


def cityscapes_ap(
    folder: str | os.PathLike, results: JSONSource, scores: Sequence[str] = ('score',)
) -> dict[str, dict[str, float]]:
    """Computes AP by Cityscapes' rules, in [0, 1], equal to its own scripts.

    Args:
        folder: of ``*_gtFine_instanceIds.png``, with folders below it.
        results: with the ids of `cityscapes_ground_truth`.
        scores: keys of the results to rank by.

    Returns:
        for each score ``AP``, ``AP50``, and the AP of each class by its name; NaN without objects.

    Raises:
        ValueError: as `evaluate_coco`, and for a folder without annotations.
    """
    dataset, voids = _read(folder)
    truth = read_ground_truth(dataset)
    found = read_results(results, truth, scores=tuple(dict.fromkeys(('score', *scores))))
    # The numbers of images and categories begin at 1.
    objects = _grouped(truth.dataset['annotations'])
    detections = _grouped(found.dataset['annotations'])
    figures: dict[str, dict[str, float]] = {}
    for key in scores:
        aps = np.array(
            [
                _class_aps(_class_masks(number, objects, detections, found.scores[key], voids))
                for number in range(1, len(CLASSES) + 1)
            ]
        )
        defined = ~np.isnan(aps)
        figures[key] = {
            'AP': float(aps[defined].mean()) if defined.any() else np.nan,
            'AP50': float(aps[defined[:, 0], 0].mean()) if defined.any() else np.nan,
            **dict(zip(CLASSES.values(), aps.mean(axis=1).tolist())),
        }
    return figures


def _read(folder: str | os.PathLike) -> tuple[dict[str, list[dict[str, Any]]], list[RLE]]:
    """COCO annotations, and of each image the pixels that are not evaluated."""
    from PIL import Image

    files = sorted(Path(folder).rglob(f'*{SUFFIX}'), key=lambda path: path.name)
    if not files:
        raise ValueError(f'{folder} holds no *{SUFFIX}: give the folder gtFine/val of Cityscapes')
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    voids: list[RLE] = []
    for path in files:
        with Image.open(path) as picture:
            ids = np.asarray(picture).astype(np.int64)
        name = path.name.removesuffix(SUFFIX)
        images.append(dict(id=name, height=ids.shape[0], width=ids.shape[1]))
        voids.append(_encoded(np.isin(ids, VOID)))
        for instance in np.unique(ids).tolist():
            label = instance // 1000 if instance >= 1000 else instance
            if label in CLASSES:
                rle = _encoded(ids == instance)
                annotations.append(
                    dict(
                        id=len(annotations) + 1,
                        image_id=name,
                        category_id=label,
                        segmentation=rle,
                        iscrowd=int(instance < 1000),
                    )
                )
    categories = [dict(id=label, name=name) for label, name in CLASSES.items()]
    return dict(images=images, annotations=annotations, categories=categories), voids


def _encoded(mask: NDArray[np.bool_]) -> RLE:
    rle = mask_utils.encode(np.asfortranarray(mask, dtype=np.uint8))
    return dict(size=rle['size'], counts=rle['counts'].decode())


def _grouped(items: Sequence[dict[str, Any]]) -> dict[tuple[int, int], list[int | Any]]:
    """Items by category and image, each with its place in the file."""
    groups: dict[tuple[int, int], list[Any]] = {}
    for place, item in enumerate(items):
        groups.setdefault((item['category_id'], item['image_id']), []).append((place, item))
    return groups


def _class_masks(
    category: int, objects: dict, detections: dict, scores: NDArray, voids: Sequence[RLE]
) -> _Masks:
    columns: list[tuple[NDArray, ...]] = []
    gt_count = 0
    for image, void in enumerate(voids, 1):
        gts = [item for _, item in objects.get((category, image), ())]
        found = [pair for pair in detections.get((category, image), ()) if pair[1]['area']]
        is_group = np.array([gt['iscrowd'] for gt in gts], dtype=bool)
        is_small = np.array([gt['area'] < SMALLEST for gt in gts], dtype=bool)
        counting = np.flatnonzero(~is_group & ~is_small)
        rles = [item['segmentation'] for _, item in found]
        gt_rles = [gt['segmentation'] for gt in gts]
        iou = pairwise_rle_iou(rles, gt_rles, np.zeros(len(gts), bool))
        # The share of a mask that lies on a region, as pixels; a small group counts twice.
        shares = pairwise_rle_iou(rles, [*gt_rles, void], np.ones(len(gts) + 1, bool))
        area = np.array([item['area'] for _, item in found])
        pixels = np.rint(shares * area[:, None])
        ignored = pixels @ np.append(is_group.astype(int) + is_small, 1) / area
        if found:
            own = np.pad(iou[:, counting], ((0, 0), (0, 1)))
            best = own.argmax(axis=1)
            columns.append(
                (
                    scores[[place for place, _ in found]],
                    np.where(own.max(axis=1) > 0, gt_count + best, -1),
                    own.max(axis=1),
                    iou.max(axis=1, initial=0),
                    ignored,
                )
            )
        gt_count += len(counting)
    joined = [np.concatenate(column) for column in zip(*columns)] or [np.zeros(0)] * 5
    return _Masks(gt_count, *joined)


def _class_aps(masks: _Masks) -> NDArray[np.float64]:
    """AP of a class at each overlap; NaN without objects."""
    if not masks.gt_count:
        return np.full(len(OVERLAPS), np.nan)
    return np.array([_ap(masks, overlap) for overlap in OVERLAPS])


def _ap(masks: _Masks, overlap: float) -> float:
    overlapping = np.flatnonzero(masks.gt_iou > overlap)
    best_first = overlapping[np.argsort(-masks.score[overlapping], kind='stable')]
    _, first = np.unique(masks.gt[best_first], return_index=True)
    true = best_first[first]
    wrong = (masks.any_iou <= overlap) & (masks.ignored_share <= overlap)
    wrong[overlapping] = True
    wrong[true] = False
    score = np.concatenate([masks.score[true], masks.score[wrong]])
    if not len(score):
        return 0.0
    is_true = np.arange(len(score)) < len(true)
    order = np.argsort(score)
    _, first = np.unique(score[order], return_index=True)
    # Of the masks from each score on.
    tp = is_true[order][::-1].cumsum()[::-1][first]
    precision = np.append(tp / (len(score) - first), 1)
    recall = np.append(tp / masks.gt_count, 0)
    widths = (np.append(recall[0], recall[:-1]) - np.append(recall[1:], 0)) / 2
    return float(precision @ widths)
