"""Makes `supervision.Detections` that carry mask scores, of predictions and of results files.

Beside supervision's own fields, ``data`` holds ``mask_iou``, ``mask_score`` and ``class_name``;
filters, slices and merges of supervision keep them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import supervision as sv
from pycocotools import mask as mask_utils

from ..evaluation.coco_files import read_ground_truth, read_results
from ..evaluation.coco_schema import JSONSource
from ..evaluation.input_checks import as_array

# Fields of predictions beside supervision's, and their names in ``data``.
FIELDS = {'mask_ious': 'mask_iou', 'mask_scores': 'mask_score'}


def detections_of(instances: Any, classes: Sequence[str] = ()) -> sv.Detections:
    """Converts the predictions of an image, ``DetDataSample.pred_instances``, tensors or arrays.

    Args:
        classes: names by label; without them there is no ``class_name``.
    """
    labels = as_array(instances.labels).astype(int)
    data: dict[str, Any] = {
        name: as_array(getattr(instances, key)) for key, name in FIELDS.items() if key in instances
    }
    if classes:
        data['class_name'] = np.array(classes)[labels]
    return sv.Detections(
        xyxy=as_array(instances.bboxes),
        mask=as_array(instances.masks).astype(bool),
        confidence=as_array(instances.scores),
        class_id=labels,
        data=data,
    )


def detections_from_results(
    annotations: JSONSource, results: JSONSource, scores: Sequence[str] = ()
) -> Iterator[tuple[Any, sv.Detections]]:
    """Yields the id of each image of a COCO file, and its detections from a results file.

    ``class_id`` counts the categories from 0 in the order of their ids, as supervision's own
    reader of COCO files does. Boxes are those of the masks.

    Args:
        scores: further keys of the results to put into ``data``.

    Raises:
        ValueError: as `evaluate_coco`.
    """
    ground_truth = read_ground_truth(annotations)
    found = read_results(results, ground_truth, scores=('score', *scores))
    entries = found.dataset['annotations']
    names = np.array([category['name'] for category in ground_truth.dataset['categories']])
    image = np.array([entry['image_id'] for entry in entries], dtype=int)
    order = np.argsort(image, kind='stable')
    bounds = np.searchsorted(image[order], np.arange(1, len(ground_truth.image_ids) + 2))
    sizes = [(item['height'], item['width']) for item in ground_truth.dataset['images']]
    for number, identity in enumerate(ground_truth.image_ids):
        members = order[bounds[number] : bounds[number + 1]]
        masks = [mask_utils.decode(entries[i]['segmentation']) for i in members]
        boxes = np.array([entries[i]['bbox'] for i in members], dtype=float).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        labels = np.array([entries[i]['category_id'] for i in members], dtype=int) - 1
        values = {key: column[members] for key, column in found.scores.items()}
        yield (
            identity,
            sv.Detections(
                xyxy=boxes,
                mask=np.array(masks, dtype=bool).reshape(-1, *sizes[number]),
                confidence=values.pop('score'),
                class_id=labels,
                data={**values, 'class_name': names[labels]},
            ),
        )
