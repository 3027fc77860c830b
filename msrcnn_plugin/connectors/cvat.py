"""Writes masks with their scores for CVAT and for Datumaro, in the format that both call COCO."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SCORES = ('score', 'mask_iou', 'mask_score')


def cvat_annotations(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """Puts the scores of each annotation under ``attributes``, where CVAT looks for them.

    CVAT shows an attribute where the label has one of its name: add ``mask_iou`` and others to the
    labels of the task, each as a number. It finds images by ``file_name``.

    Args:
        dataset: a COCO data set such as `review_queue` makes; it stays as it is.
    """
    annotations = [
        {**each, 'attributes': {name: each[name] for name in SCORES if name in each}}
        for each in dataset['annotations']
    ]
    return {**dataset, 'annotations': annotations}
