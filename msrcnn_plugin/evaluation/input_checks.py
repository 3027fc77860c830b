"""Predictions and annotation files that cannot be evaluated, told apart in plain words.

Every function raises a ValueError that says what was given, what was expected and what to do.
"""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log
from numpy.typing import NDArray

KEYS = {
    'images': ('height', 'width'),
    'annotations': ('image_id', 'category_id', 'area', 'iscrowd', 'segmentation'),
    'categories': ('name',),
}
_ALWAYS_IN_UNIT_INTERVAL = ('mask_ious', 'mask_mean_probs', 'uncalibrated_mask_ious')


def check_prediction(
    sample: Mapping[str, Any], *, class_count: int | None, image_ids: Collection | None
) -> None:
    """An image's prediction: known image, known labels, a mask for each instance.

    Args:
        sample: a `DetDataSample` as a dict.
        class_count: None where the data set's classes are not known.
        image_ids: None where the ground truth comes with the samples.
    """
    image, prediction = sample['img_id'], sample['pred_instances']
    if image_ids is not None and image not in image_ids:
        raise ValueError(
            f'prediction for image {image!r}, which the annotation file does not list '
            f'({len(image_ids)} images). Use the `ann_file` of the data set that was predicted.'
        )
    labels = _as_array(prediction['labels'])
    if (
        class_count is not None
        and labels.size
        and not 0 <= labels.min() <= labels.max() < class_count
    ):
        raise ValueError(
            f'image {image!r}: labels from {labels.min()} to {labels.max()}, but the data set has '
            f'{class_count} classes. Is the checkpoint one of another model?'
        )
    if 'masks' not in prediction:
        raise ValueError(
            f'image {image!r}: the prediction has no `masks`, only {sorted(prediction)}. '
            'MaskScoringMetric needs an instance segmentation model; use CocoMetric for boxes.'
        )
    if len(prediction['masks']) != len(labels):
        raise ValueError(
            f'image {image!r}: {len(prediction["masks"])} masks for {len(labels)} labels; '
            'every instance must have one of each'
        )


def checked_scores(sample: Mapping[str, Any], name: str, *, bounded: bool) -> NDArray:
    """The values (N,) of one field of an image's prediction: one an instance, finite, in [0, 1].

    Args:
        bounded: False lets ``scores`` and ``mask_scores`` lie outside [0, 1], as mmdet's own Mask
            Scoring R-CNN makes them.
    """
    image, prediction = sample['img_id'], sample['pred_instances']
    values, count = _as_array(prediction[name]), len(prediction['labels'])
    if values.shape != (count,):
        raise ValueError(
            f'image {image!r}: `{name}` has shape {values.shape} for {count} instances, '
            f'expected ({count},): one value an instance'
        )
    must_be_bounded = bounded or name in _ALWAYS_IN_UNIT_INTERVAL
    fine = (values >= 0) & (values <= 1) if must_be_bounded else np.isfinite(values)
    if not fine.all():
        domain = 'within [0, 1]' if must_be_bounded else 'finite'
        hint = 'The model diverged, or its head is not clamped.'
        if must_be_bounded and name not in _ALWAYS_IN_UNIT_INTERVAL:
            hint += ' Give `bounded_scores=False` to rank by scores that are no probabilities.'
        raise ValueError(
            f'image {image!r}: `{name}` holds {values[~fine][0]}, expected values {domain}. {hint}'
        )
    return values


def check_ground_truth_masks(sample: Mapping[str, Any]) -> None:
    """Ground truth that comes with the sample must have masks."""
    bare = sum(not instance.get('mask') for instance in sample.get('instances', ()))
    if bare:
        raise ValueError(
            f'image {sample["img_id"]!r}: {bare} of {len(sample["instances"])} ground truth '
            'instances have no `mask`. Give MaskScoringMetric an `ann_file` with segmentations.'
        )


def check_same_fields(predictions: Sequence[Mapping], names: Sequence[str]) -> None:
    """A field that some images have, all must have."""
    for name in names:
        count = sum(name in prediction for prediction in predictions)
        if 0 < count < len(predictions):
            raise ValueError(
                f'`{name}` is given for {count} of {len(predictions)} images. Give it for every '
                'image, also for those without instances (shape (0,)), or for none.'
            )


def check_every_image_once(image_ids: Sequence) -> None:
    image, count = Counter(image_ids).most_common(1)[0]
    if count > 1:
        raise ValueError(
            f'image {image!r} was predicted {count} times. Every image counts once: check the '
            'sampler, and that the size given to `evaluate` is the length of the data set.'
        )


def read_annotations(path: str | os.PathLike) -> dict[str, Any]:
    """The content of a COCO annotation file, checked by `check_annotations`."""
    try:
        with open(path, encoding='utf-8') as stream:
            data_set = json.load(stream)
    except ValueError as error:
        raise ValueError(f'{path} is no COCO annotation file: {error}') from error
    check_annotations(data_set, str(path))
    return data_set


def check_annotations(data_set: Any, source: str) -> None:
    """What COCO's evaluation reads of an annotation file must be there.

    pycocotools leaves out annotations of images or categories that the file does not list: they are
    no error, but worth a warning.
    """
    advice = f'{source} is no usable COCO annotation file: '
    if not isinstance(data_set, Mapping):
        raise ValueError(f'{advice}it holds a {type(data_set).__name__}, expected an object')
    for name, keys in KEYS.items():
        if not isinstance(data_set.get(name), list):
            raise ValueError(f'{advice}it has no list `{name}`. Found: {sorted(data_set)}')
        _check_ids(data_set[name], f'{advice}`{name}`')
        for item in data_set[name]:
            problem = _problem(item, keys)
            if problem:
                raise ValueError(f'{advice}{item["id"]!r} in `{name}` {problem}')
    strays = _stray_annotations(data_set)
    if strays:
        text = f'{source}: {strays} annotations name an unlisted image or category and do not count'
        print_log(text, logger='current', level=logging.WARNING)


def check_image_names(data_set: Mapping[str, Any], source: str) -> None:
    """Every image must say which file it is; an evaluation alone does not ask."""
    nameless = [image['id'] for image in data_set['images'] if not image.get('file_name')]
    if nameless:
        raise ValueError(
            f'{source}: {len(nameless)} of {len(data_set["images"])} images have no `file_name`, '
            f'the first is {nameless[0]!r}. Give each the path of its file below the folder.'
        )


def check_classes(classes: Sequence[str], data_set: Mapping[str, Any]) -> None:
    """Every class of the data set must be a category of the annotation file."""
    names = [category['name'] for category in data_set['categories']]
    missing = [name for name in classes if name not in names]
    if missing:
        raise ValueError(
            f'{len(missing)} of {len(classes)} classes are no category of the annotation file: '
            f'{missing[:5]}; it has {names[:5]}... Set `metainfo` of the data set to these names.'
        )


def _as_array(values: Any) -> NDArray:
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        # numpy knows no bfloat16
        return (values.float() if values.is_floating_point() else values).numpy()
    return np.asarray(values)


def _check_ids(items: Sequence[Any], where: str) -> None:
    counts = Counter(item.get('id') if isinstance(item, Mapping) else None for item in items)
    if None in counts:
        raise ValueError(f'{where} has {counts[None]} entries without an `id`')
    repeated = [identity for identity, count in counts.items() if count > 1]
    if repeated:
        raise ValueError(
            f'{where} has {len(repeated)} ids more than once, the first is {repeated[0]!r}'
        )


def _stray_annotations(data_set: Mapping[str, Any]) -> int:
    images = {image['id'] for image in data_set['images']}
    categories = {category['id'] for category in data_set['categories']}
    return sum(
        annotation['image_id'] not in images or annotation['category_id'] not in categories
        for annotation in data_set['annotations']
    )


def _problem(item: Mapping, keys: Sequence[str]) -> str | None:
    lacking = [key for key in keys if key not in item]
    if lacking:
        hint = ' (0 for an ordinary object)' if 'iscrowd' in lacking else ''
        return f'lacks {", ".join(lacking)}{hint}'
    if not item.get('segmentation', True):
        return 'has an empty `segmentation`: remove the annotation or draw its mask'
    return None
