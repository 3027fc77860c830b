"""Lists the masks that a human should look at first: those whose predicted IoU is low."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from mmdet.structures import DetDataSample
from mmdet.structures.mask import encode_mask_results
from mmengine.structures import InstanceData
from numpy.typing import NDArray
from pycocotools import mask as rle_tools

# Scores of a mask by their keys in the queue, and the fields of the predictions.
FIELDS = dict(score='scores', mask_iou='mask_ious', mask_score='mask_scores')
Categories = Sequence[Mapping[str, Any]]  # of a COCO file, in the order of the model's labels


def review_queue(
    samples: Iterable[DetDataSample],
    classes: Sequence[str | Mapping[str, Any]],
    *,
    below: float = 0.7,
    min_score: float = 0.3,
    by: str = 'mask_iou',
) -> dict[str, Any]:
    """Makes a COCO data set of the masks with a predicted IoU below ``below``, lowest first.

    Annotations have, beside COCO's fields, ``score`` (class score), ``mask_iou`` and
    ``mask_score``. Boxes and areas are the masks' own. Every image is listed. Masks without a pixel
    are left out.

    Args:
        samples: predictions with ``img_path``, ``ori_shape`` and masks in pixels of the image; read
            one after the other, so that a generator keeps one image in memory.
        classes: K names, which get the category ids 1 to K, or K COCO categories (``id``,
            ``name``), in the order of the model's labels.
        below: in [0, 1].
        min_score: least class score; doubtful objects have doubtful masks, and there are many.
        by: the score that is to be below; one of `FIELDS`.
    """
    categories = [
        dict(id=number, name=given) if isinstance(given, str) else dict(given)
        for number, given in enumerate(classes, 1)
    ]
    limits: dict[str, Any] = dict(below=below, min_score=min_score, by=by)
    return merge_queue([image_entry(s, categories, **limits) for s in samples], categories, by)


def image_entry(
    sample: DetDataSample, categories: Categories, *, below: float, min_score: float, by: str
) -> dict[str, Any]:
    """Describes an image and its queued masks: a COCO image with ``annotations``, ready for JSON.

    Raises:
        ValueError: predictions of a model without a MaskIoU head.
    """
    height, width = sample.ori_shape[:2]
    return dict(
        file_name=sample.img_path,
        height=height,
        width=width,
        annotations=_doubtful(sample.pred_instances, categories, below, min_score, by),
    )


def merge_queue(
    entries: Iterable[Mapping[str, Any]], categories: Categories, by: str = 'mask_iou'
) -> dict[str, Any]:
    """Joins the entries of all images into one COCO data set, ids given, lowest first."""
    images, annotations = [], []
    for image_id, entry in enumerate(entries, 1):
        names = ('file_name', 'height', 'width')
        images.append(dict(id=image_id, **{name: entry[name] for name in names}))
        annotations += [dict(each, image_id=image_id) for each in entry['annotations']]
    annotations.sort(key=lambda annotation: annotation[by])
    for annotation_id, annotation in enumerate(annotations, 1):
        annotation['id'] = annotation_id
    return dict(images=images, annotations=annotations, categories=list(categories))


def _doubtful(
    instances: InstanceData, categories: Categories, below: float, min_score: float, by: str
) -> list[dict[str, Any]]:
    if 'mask_ious' not in instances:
        raise ValueError(
            'the predictions have no mask_ious; expected those of a model with a MaskIoU head '
            "(roi_head=dict(type='MSRoIHead', ...))"
        )
    chosen = (instances[FIELDS[by]] < below) & (instances.scores >= min_score)
    instances = instances[chosen].numpy()
    return [
        _annotation(mask, categories[int(instances.labels[i])]['id'], _scores(instances, i))
        for i, mask in enumerate(instances.masks)
        if mask.any()
    ]


def _scores(instances: InstanceData, i: int) -> dict[str, float]:
    return {name: float(instances[field][i]) for name, field in FIELDS.items()}


def _annotation(
    mask: NDArray[np.bool_], category_id: Any, scores: Mapping[str, float]
) -> dict[str, Any]:
    (rle,) = encode_mask_results([mask])
    return dict(
        category_id=category_id,
        segmentation=dict(size=list(rle['size']), counts=rle['counts'].decode()),
        bbox=rle_tools.toBbox(rle).tolist(),
        area=float(rle_tools.area(rle)),
        iscrowd=0,
        **scores,
    )
