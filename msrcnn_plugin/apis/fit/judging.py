"""What detections are worth: the targets of the two heads, and the figures of a fit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...evaluation import (
    IoUCalibration,
    MaskScoringResult,
    Matches,
    evaluate_coco,
    fit_iou_calibration,
    held_out_calibration,
)
from ...models.rank_inputs import NUMBERS
from .detections import Detections
from .training import Targets, predict_logits, predict_ranks

MAX_DETS = (100, 300, 1000)  # as `MaskScoringMetric`
MEAN_PROB = NUMBERS.index('mean_mask_prob')
NO_MAP = IoUCalibration(np.array([0.0, 1.0]), np.array([0.0, 1.0]))


class Judge:
    """Compares detections with the annotations of their images.

    Args:
        detections: of the images that are judged or learned from.
        file: annotations in COCO format.
        categories: the category id of each label.
    """

    def __init__(self, detections: Detections, file: str, categories: list[Any]) -> None:
        self._detections, self._categories = detections, categories
        self._annotations = json.loads(Path(file).read_bytes())

    def evaluate(
        self, chosen: NDArray[np.bool_], scores: Mapping[str, NDArray] | None = None
    ) -> MaskScoringResult:
        """Evaluates the detections of the ``chosen`` (B,) images.

        Args:
            scores: (N,) each, of all detections, beside the class score.

        Raises:
            ValueError: there are none.
        """
        detections = self._detections
        columns = {
            'score': detections.column('scores').double().numpy(),
            'mask_mean_prob': detections.column('numbers')[:, MEAN_PROB].double().numpy(),
            **(scores or {}),
        }
        labels = detections.column('labels').tolist()
        masks = [mask for image in detections.images for mask in image['masks']]
        ids = [image['image_id'] for image in detections.images]
        results = [
            dict(
                image_id=ids[detections.image[place]],
                category_id=self._categories[labels[place]],
                segmentation=masks[place],
                **{name: float(values[place]) for name, values in columns.items()},
            )
            for place in np.flatnonzero(chosen[detections.image])
        ]
        if not results:
            raise ValueError(
                f'the model detects nothing in {chosen.sum()} training images: is it trained, and '
                'is test_cfg.rcnn.score_thr below its scores?'
            )
        kept = {image_id for image_id, is_chosen in zip(ids, chosen) if is_chosen}
        annotations = {
            **self._annotations,
            'images': [i for i in self._annotations['images'] if i['id'] in kept],
            'annotations': [a for a in self._annotations['annotations'] if a['image_id'] in kept],
        }
        return evaluate_coco(annotations, results, max_dets=MAX_DETS)

    @cached_property
    def _matches(self) -> Matches:
        return self.evaluate(np.ones(len(self._detections.images), dtype=bool)).matches

    def targets(self) -> Targets:
        """Computes what the MaskIoU head learns of each detection."""
        matches = self._matches
        places = np.argsort(matches.result_index)
        return Targets(
            torch.from_numpy(matches.true_iou[places]).float(),
            torch.from_numpy(~matches.on_crowd[places]),
        )

    def matched_share(self, logits: Tensor) -> Tensor:
        """Computes what the ranking head learns, (N,), in the order of the paper's mask score.

        Nobody can tell which of near-equal duplicates has the largest IoU. If that one alone
        counted, an object's score would be divided among its duplicates.

        Args:
            logits: (N,) of the IoU that the MaskIoU head predicts.
        """
        matches = self._matches
        order = (self._detections.column('scores') * logits.sigmoid()).double().numpy()
        share = matches.matched_share(order[matches.result_index])
        return torch.from_numpy(share[np.argsort(matches.result_index)]).float()

    def judge(
        self, owner: Any, targets: Targets, chosen: NDArray[np.bool_]
    ) -> tuple[MaskScoringResult, IoUCalibration]:
        """Scores the chosen images, fits the calibration to them and evaluates them.

        The IoU of each is calibrated by the other images, in folds. Where the predicted IoU does
        not rise with the true one, or there are too few detections, it stays as it is.
        """
        detections = self._detections
        places = torch.from_numpy(np.flatnonzero(chosen[detections.image]))
        logits = torch.zeros(len(detections.image))
        logits[places] = predict_logits(owner.mask_iou_head, detections, places)
        mask_ious, mask_scores = predict_ranks(
            owner.mask_rank_head, detections, logits, np.flatnonzero(chosen)
        )
        predicted, true = (
            values[places].double().numpy() for values in (mask_ious, targets.true_iou)
        )
        calibration, calibrated = NO_MAP, mask_ious.double().numpy()
        try:
            calibration = fit_iou_calibration(predicted, true)
            image_of = detections.image[places.numpy()]
            calibrated[places.numpy()] = held_out_calibration(predicted, true, image_of)
        except ValueError:
            pass
        scores = dict(mask_iou=calibrated, mask_score=mask_scores.double().numpy())
        return self.evaluate(chosen, scores), calibration
