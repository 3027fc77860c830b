"""Reads the images and masks that pictures of a test need, from COCO files and a folder."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from pycocotools import mask as mask_utils

from ..evaluation import Matches, pairwise_rle_iou
from ..evaluation.coco_files import read_ground_truth, read_results
from ..evaluation.coco_masks import compressed
from ..evaluation.coco_schema import JSONSource
from ..evaluation.lvis import is_lvis
from .gallery import Gallery, MisjudgedMask, crop_window, most_overrated, most_underrated
from .scored_image import ScoredImage


def read_scored_images(
    annotations: JSONSource,
    image_folder: str | os.PathLike,
    results: JSONSource,
    matches: Matches | str | os.PathLike,
    *,
    min_score: float = 0.3,
    max_detections: int = 8,
) -> tuple[list[ScoredImage], list[str]]:
    """Reads the images with a detection of class score ``min_score`` or more, and class names.

    Args:
        annotations: COCO ground truth, a path or loaded JSON.
        image_folder: where its ``file_name`` are found.
        results: ``PREFIX.segm.json`` of a ``MaskScoringMetric(outfile_prefix=PREFIX)``, or what
            `evaluate_coco` was given.
        matches: of the same test, with a predicted IoU, or their file.
        max_detections: of an image, those with the highest class scores.
    """
    matches = matches if isinstance(matches, Matches) else Matches.load(matches)
    if not {'mask_iou', 'mask_score'} <= set(matches.scores):
        raise ValueError('there is no mask score to draw: test a model with a MaskIoU head')
    run = _Run(matches, annotations, image_folder, results)
    score = matches.scores['score']
    images = []
    for number in np.unique(matches.image[score >= min_score]):
        chosen = np.flatnonzero((matches.image == number) & (score >= min_score))
        chosen = chosen[np.argsort(-score[chosen], kind='stable')][:max_detections]
        images.append(run.scored_image(int(number), chosen))
    return images, list(matches.category_names)


def read_gallery(
    matches: Matches,
    annotations: JSONSource,
    image_folder: str | os.PathLike,
    results: JSONSource,
    *,
    count: int = 6,
) -> Gallery:
    """Reads the ``count`` masks that the class score overrates most, and as many underrated ones.

    Args:
        matches: of the same test as ``results``.
        annotations: COCO ground truth, a path or loaded JSON.
        image_folder: where its ``file_name`` are found.
        results: ``PREFIX.segm.json`` of a ``MaskScoringMetric(outfile_prefix=PREFIX)``, or what
            `evaluate_coco` was given.

    Raises:
        ValueError: files of different tests or data sets, or that cannot be read as what they are.
        FileNotFoundError: a file or an image is missing.
    """
    run = _Run(matches, annotations, image_folder, results)
    return Gallery(
        overrated=tuple(run.misjudged(place) for place in most_overrated(matches, count)),
        underrated=tuple(run.misjudged(place) for place in most_underrated(matches, count)),
    )


class _Run:
    """The files of one test beside its matches."""

    def __init__(
        self,
        matches: Matches,
        annotations: JSONSource,
        image_folder: str | os.PathLike,
        results: JSONSource,
    ) -> None:
        ground_truth = read_ground_truth(annotations)
        self._matches, self._folder = matches, Path(image_folder)
        found = read_results(results, ground_truth)
        self._results = found.dataset['annotations']
        self._image_ids, self._category_ids = ground_truth.image_ids, ground_truth.category_ids
        self._images = dict(zip(self._image_ids, ground_truth.dataset['images']))
        self._gts: dict[int, list[Mapping]] = defaultdict(list)
        for item in ground_truth.dataset['annotations']:
            if not item.get('iscrowd', 0):
                self._gts[item['image_id']].append(item)
        self._check_same_test(found.scores['score'], is_lvis(ground_truth))

    def _check_same_test(self, found: NDArray[np.float64], judged_alone: bool) -> None:
        """``judged_alone``: the matches hold those of the results that LVIS judges."""
        matches = self._matches
        nameless = [i for i, image in self._images.items() if not image.get('file_name')]
        if nameless:
            raise ValueError(
                f'{len(nameless)} of {len(self._images)} images have no `file_name`, the first is '
                f'{nameless[0]!r}: give each the path of its file below the image folder'
            )
        # CocoMetric writes the mask score as `score`.
        known = [matches.scores[key] for key in ('score', 'mask_score') if key in matches.scores]
        last = matches.result_index.max(initial=-1)
        fits = last < len(found) if judged_alone else len(found) == len(matches)
        if not fits or not any(
            np.allclose(found[matches.result_index], scores) for scores in known
        ):
            raise ValueError(
                f'the results ({len(found)} masks) and the matches ({len(matches)}) are not of one '
                'test: write both with one MaskScoringMetric(outfile_prefix=..., pairs_file=...)'
            )

    def misjudged(self, place: int) -> MisjudgedMask:
        """One detection, cropped, with the ground truth of its class that it meets best."""
        matches = self._matches
        image, pixels = self._pixels(matches.image[place])
        category = 1 + self._category_ids.index(matches.category_ids[matches.category[place]])
        rle = self._rle(self._results[matches.result_index[place]], pixels)
        gts = [self._rle(g, pixels) for g in self._gts[image['id']] if g['category_id'] == category]
        mask = mask_utils.decode(rle).astype(bool)
        gt = np.zeros_like(mask)
        if gts:
            best = pairwise_rle_iou([rle], gts, [0] * len(gts)).argmax()
            gt = mask_utils.decode(gts[int(best)]).astype(bool)
        window = crop_window(_bounds(mask | gt), mask.shape)
        predicted = matches.scores.get('mask_iou')
        return MisjudgedMask(
            image=pixels[window],
            mask=mask[window],
            gt_mask=gt[window],
            image_name=Path(image['file_name']).name,
            class_name=matches.category_names[matches.category[place]],
            class_score=float(matches.scores['score'][place]),
            predicted_iou=None if predicted is None else float(predicted[place]),
            true_iou=float(matches.true_iou[place]),
        )

    def scored_image(self, number: int, chosen: NDArray[np.int64]) -> ScoredImage:
        """An image with its detections ``chosen`` (n,)."""
        matches = self._matches
        image, pixels = self._pixels(number)
        gts = self._gts[image['id']]
        places = {identity: place for place, identity in enumerate(matches.category_ids)}
        return ScoredImage(
            image=pixels,
            masks=self._masks([self._results[i] for i in matches.result_index[chosen]], pixels),
            labels=matches.category[chosen],
            scores=matches.scores['score'][chosen],
            mask_ious=matches.scores['mask_iou'][chosen],
            mask_scores=matches.ranking_scores('mask_score')[chosen],
            true_ious=matches.true_iou[chosen],
            unique_ious=matches.ranking_scores('unique')[chosen],
            gt_masks=self._masks(gts, pixels),
            gt_labels=np.array(
                [places[self._category_ids[gt['category_id'] - 1]] for gt in gts], dtype=np.int64
            ),
        )

    def _pixels(self, number: int) -> tuple[Mapping[str, Any], NDArray[np.uint8]]:
        """An image's entry in the annotations, and its pixels (H, W, 3)."""
        identity = self._matches.image_ids[number]
        if identity not in self._images:
            raise ValueError(
                f'prediction for image {identity!r}, which the annotations do not list '
                f'({len(self._images)} images): give those of the data set that was predicted'
            )
        image = self._images[identity]
        return image, read_image(self._folder / image['file_name'])

    def _rle(self, item: Mapping[str, Any], pixels: NDArray) -> Mapping[str, Any]:
        rle = compressed(item['segmentation'], pixels.shape[:2])
        if tuple(rle['size']) != pixels.shape[:2]:
            identity = self._image_ids[item['image_id'] - 1]
            raise ValueError(
                f'image {identity!r}: a mask is {tuple(rle["size"])} pixels (height, width),'
                f' the image file {pixels.shape[:2]}; is it another image, or one that its '
                'EXIF tag turns?'
            )
        return rle

    def _masks(self, items: Sequence[Mapping[str, Any]], pixels: NDArray) -> NDArray[np.bool_]:
        masks = np.zeros((len(items), *pixels.shape[:2]), dtype=bool)
        for mask, item in zip(masks, items):
            mask[:] = mask_utils.decode(self._rle(item, pixels))
        return masks


def read_image(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) RGB, turned as its EXIF tag says."""
    try:
        with Image.open(path) as image:
            if image.mode.startswith('I'):  # 16 bits, which PIL would cut off at 255
                values = np.asarray(image, dtype=float)
                image = Image.fromarray((values * (255 / max(values.max(), 1))).astype(np.uint8))
            return np.array(ImageOps.exif_transpose(image).convert('RGB'))
    except (FileNotFoundError, UnidentifiedImageError, OSError) as error:
        raise FileNotFoundError(
            f'{path} is no readable image: give the folder of the test images'
        ) from error


def _bounds(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """x1, y1, x2, y2 of a mask's pixels; of the whole image where it has none."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return 0, 0, mask.shape[1], mask.shape[0]
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
