"""Checks of the predictions that `MaskScoringMetric` is given: what would make a figure wrong.

Every function raises a ValueError that says what was given, what was expected and what to do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ALWAYS_IN_UNIT_INTERVAL = (
    *('mask_ious', 'mask_mean_probs', 'mask_stabilities', 'uncalibrated_mask_ious'),
)


def check_prediction(
    sample: Mapping[str, Any], *, class_count: int | None, image_ids: Collection | None
) -> None:
    """Checks an image's prediction: known image, known labels, a mask for each instance.

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
    labels = as_array(prediction['labels'])
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
    """Returns one field (N,) of an image's prediction: one value an instance, in [0, 1].

    NaN and infinity are an error in ``scores`` alone. They pass in the others, which the plain host
    does not have: a MaskIoU head that diverged must not end the training of the rest.

    Args:
        bounded: False lets ``scores`` and ``mask_scores`` lie outside [0, 1], as mmdet's own Mask
            Scoring R-CNN makes them.
    """
    image, prediction = sample['img_id'], sample['pred_instances']
    values, count = as_array(prediction[name]), len(prediction['labels'])
    if values.shape != (count,):
        raise ValueError(
            f'image {image!r}: `{name}` has shape {values.shape} for {count} instances, '
            f'expected ({count},): one value an instance'
        )
    must_be_bounded = bounded or name in _ALWAYS_IN_UNIT_INTERVAL
    is_finite = np.isfinite(values)
    fine = (values >= 0) & (values <= 1) if must_be_bounded else is_finite
    if name != 'scores':
        fine |= ~is_finite
    if not fine.all():
        domain = 'within [0, 1]' if must_be_bounded else 'finite'
        hint = 'The model diverged, or its head is not clamped.'
        if must_be_bounded and name not in _ALWAYS_IN_UNIT_INTERVAL:
            hint += ' Give `bounded_scores=False` to rank by scores that are no probabilities.'
        raise ValueError(
            f'image {image!r}: `{name}` holds {values[~fine][0]}, expected values {domain}. {hint}'
        )
    return values


def check_same_fields(predictions: Sequence[Mapping], names: Sequence[str]) -> None:
    """Checks that a field which some images have, all have."""
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


def check_classes(classes: Sequence[str], categories: Sequence[Mapping[str, Any]]) -> None:
    """Checks that every class of the data set is one category of the annotation file."""
    counts = Counter(category['name'] for category in categories)
    missing = [name for name in classes if name not in counts]
    if missing:
        raise ValueError(
            f'{len(missing)} of {len(classes)} classes are no category of the annotation file: '
            f'{missing[:5]}; it has {list(counts)[:5]}... Set `metainfo` of the data set to these '
            'names.'
        )
    for name in classes:
        if counts[name] > 1:
            ids = [category['id'] for category in categories if category['name'] == name]
            raise ValueError(
                f'the annotation file has {counts[name]} categories of the name {name!r} (ids '
                f'{ids}), so that labels cannot be told apart. Rename or remove all but one.'
            )


def as_array(values: Any) -> NDArray:
    """A tensor on any device, or what numpy takes, as an array."""
    if hasattr(values, 'detach'):
        values = values.detach().cpu()
        # numpy knows no bfloat16
        return (values.float() if values.is_floating_point() else values).numpy()
    return np.asarray(values)
