"""Masks that a human should look at first: those whose predicted MaskIoU is low."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from mmdet.structures import DetDataSample
from mmdet.structures.mask import encode_mask_results
from numpy.typing import NDArray
from pycocotools import mask as rle_tools


def review_queue(
    samples: Iterable[DetDataSample],
    classes: Sequence[str],
    *,
    below: float = 0.7,
    min_score: float = 0.3,
) -> dict[str, Any]:
    """A COCO data set of the masks with a predicted IoU below ``below``, lowest first.

    Annotations have, beside COCO's fields, ``score`` (class score), ``mask_iou`` and
    ``mask_score``. Category ids are 1 to K in the order of ``classes``; boxes and areas are the
    masks' own. Every image is listed. Masks without a pixel are left out: nothing could be seen.

    Args:
        samples: predictions with ``img_path``, ``ori_shape`` and masks in pixels of the image; read
            one after the other, so that a generator keeps one image in memory.
        classes: K names.
        below: in [0, 1].
        min_score: least class score; doubtful objects have doubtful masks, and there are many.
    """
    images, annotations = [], []
    for image_id, sample in enumerate(samples, 1):
        height, width = sample.ori_shape[:2]
        images.append(dict(id=image_id, file_name=sample.img_path, height=height, width=width))
        annotations += _doubtful(sample.pred_instances, image_id, below, min_score)
    annotations.sort(key=lambda annotation: annotation['mask_iou'])
    for annotation_id, annotation in enumerate(annotations, 1):
        annotation['id'] = annotation_id
    categories = [dict(id=label, name=name) for label, name in enumerate(classes, 1)]
    return dict(images=images, annotations=annotations, categories=categories)


def _doubtful(instances, image_id: int, below: float, min_score: float) -> list[dict]:
    if 'mask_ious' not in instances:
        raise ValueError(
            'the predictions have no mask_ious; expected those of a model with a MaskIoU head '
            "(roi_head=dict(type='MSRoIHead', ...))"
        )
    chosen = (instances.mask_ious < below) & (instances.scores >= min_score)
    instances = instances[chosen].numpy()
    return [
        _annotation(mask, image_id, int(instances.labels[i]), _scores(instances, i))
        for i, mask in enumerate(instances.masks)
        if mask.any()
    ]


def _scores(instances, i: int) -> dict[str, float]:
    names = dict(score='scores', mask_iou='mask_ious', mask_score='mask_scores')
    return {name: float(instances[field][i]) for name, field in names.items()}


def _annotation(mask: NDArray[np.bool_], image_id: int, label: int, scores: dict) -> dict:
    (rle,) = encode_mask_results([mask])
    return dict(
        image_id=image_id,
        category_id=label + 1,
        segmentation=dict(size=list(rle['size']), counts=rle['counts'].decode()),
        bbox=rle_tools.toBbox(rle).tolist(),
        area=float(rle_tools.area(rle)),
        iscrowd=0,
        **scores,
    )
