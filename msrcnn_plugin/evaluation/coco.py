"""Evaluates masks of any model from its COCO files, without the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import lvis
from .boundary import pairwise_boundary_iou
from .coco_files import GroundTruth, Results, read_ground_truth, read_results
from .coco_masks import compressed
from .coco_schema import JSONSource
from .matches import Matches, Protocol
from .matching import RLE, Masks, PairwiseIoU, match_masks, pairwise_rle_iou
from .result import MaskScoringResult

# Read wherever the results have them: estimates of the true IoU, and what derived rankings need.
_ALWAYS_READ = ('mask_iou', 'mask_mean_prob', 'mask_stability')


def evaluate_coco(
    annotations: JSONSource,
    results: JSONSource,
    scores: Sequence[str] = ('score', 'mask_score'),
    *,
    max_dets: Sequence[int] = (1, 10, 100),
    boundary: bool = False,
) -> MaskScoringResult:
    """Ranks the masks of a results file by each of their scores and by the true IoU.

    Equal to pycocotools' own evaluation, run once for each score. Annotations of LVIS (images with
    ``neg_category_ids``) are evaluated by its rules, equal to its own evaluation: 300 detections of
    an image, whatever ``max_dets``.

    Args:
        annotations: COCO ground truth, a path or loaded JSON.
        results: COCO results with masks, a path or loaded JSON: a list of ``image_id``,
            ``category_id``, ``segmentation``, ``score`` and any further numbers.
        scores: keys of the results to rank by, ``score`` always among them. ``mask_score`` is left
            out where no result has it; ``mask_iou``, ``mask_mean_prob`` and ``mask_stability`` are
            read wherever the results have them. Any other key must be there.
        max_dets: limits on the detections of a category in an image, as in pycocotools. The main AP
            counts 100, the other figures the third. `MaskScoringMetric` has (100, 300, 1000).
        boundary: also evaluates by boundary IoU, which decodes every mask: `MaskScoringResult.
            boundary` holds it, and ``figures`` has ``boundary_mAP`` and others.

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
    ground_truth, found = _read(annotations, results, scores)
    matches = match_files(ground_truth, found, max_dets=max_dets)
    result = MaskScoringResult.from_matches(matches)
    if not boundary:
        return result
    matches = match_files(
        ground_truth, found, max_dets=max_dets, pairwise_iou=pairwise_boundary_iou
    )
    return replace(result, boundary=MaskScoringResult.from_matches(matches))


def match_coco(
    annotations: JSONSource, results: JSONSource, scores: Sequence[str] = ('score', 'mask_score')
) -> Matches:
    """Matches the masks of a results file with the objects; takes what `evaluate_coco` takes."""
    return match_files(*_read(annotations, results, scores))


def _read(
    annotations: JSONSource, results: JSONSource, scores: Sequence[str]
) -> tuple[GroundTruth, Results]:
    """Returns the content of both files, of the scores those that were asked for."""
    ground_truth = read_ground_truth(annotations)
    further = [key for key in scores if key not in ('mask_score', *_ALWAYS_READ)]
    found = read_results(results, ground_truth, scores=tuple(dict.fromkeys(('score', *further))))
    used = {'score', *scores, *_ALWAYS_READ}
    kept = {key: values for key, values in found.scores.items() if key in used}
    return ground_truth, replace(found, scores=kept)


def match_files(
    ground_truth: GroundTruth,
    found: Results,
    *,
    max_dets: Sequence[int] = (1, 10, 100),
    pairwise_iou: PairwiseIoU = pairwise_rle_iou,
) -> Matches:
    """Matches the masks of a results file with their ground truth; keeps all scores of the file."""
    detections, gts = found.dataset['annotations'], ground_truth.dataset['annotations']
    result_index, protocol = None, Protocol(max_dets=tuple(sorted(max_dets)))
    if lvis.is_lvis(ground_truth):
        result_index = lvis.judged_detections(ground_truth, detections, found.scores['score'])
        detections = [detections[i] for i in result_index]
        protocol = Protocol(max_dets=(lvis.MAX_DETS,))
    sizes = [(i['height'], i['width']) for i in ground_truth.dataset['images']]
    box = np.array([item['bbox'] for item in detections], dtype=float).reshape(-1, 4)
    box[:, 2:] += box[:, :2]
    names = [category['name'] for category in ground_truth.dataset['categories']]
    return match_masks(
        _masks(
            detections,
            [item['segmentation'] for item in detections],
            not_exhaustive=lvis.not_exhaustive(ground_truth, detections),
        ),
        _masks(
            gts,
            [compressed(item['segmentation'], sizes[item['image_id'] - 1]) for item in gts],
            crowd=np.array([item.get('iscrowd', 0) for item in gts], dtype=bool),
            id_is_zero=np.array([i == 0 for i in ground_truth.annotation_ids], dtype=bool),
        ),
        image_ids=ground_truth.image_ids,
        categories=dict(zip(ground_truth.category_ids, names)),
        scores={
            key: values if result_index is None else values[result_index]
            for key, values in found.scores.items()
        },
        box=box,
        protocol=protocol,
        result_index=result_index,
        frequencies=lvis.frequencies(ground_truth),
        pairwise_iou=pairwise_iou,
    )


def _masks(items: Sequence[Mapping[str, Any]], rles: Sequence[RLE], **columns: NDArray) -> Masks:
    """The masks of items whose images and categories are numbered from 1."""
    return Masks(
        rles,
        image=np.array([item['image_id'] for item in items], dtype=np.int64) - 1,
        category=np.array([item['category_id'] for item in items], dtype=np.int64) - 1,
        area=np.array([item['area'] for item in items], dtype=float),
        **columns,
    )
