"""A model for SAHI's sliced prediction that keeps mask scores through slicing and merging.

SAHI makes new predictions from old ones wherever it shifts or merges them, and hands on the number
in ``prediction.score.value`` alone. So that number carries the other two.

Example:
    >>> model = MaskScoringSahiModel(model_path='epoch_12.pth', config_path='config.py')
    >>> for found in get_sliced_prediction(image, model).object_prediction_list:
    ...     print(found.score.value, found.score.value.mask_iou, found.score.value.class_score)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from pycocotools import mask as mask_utils
from sahi.models.mmdet import DetInferencerWrapper, MmdetDetectionModel
from sahi.utils.cv import get_coco_segmentation_from_bool_mask

from ..apis import MaskScoringInferencer


class MaskScore(float):
    """A mask score that knows its class score and predicted IoU; of merged masks the best one's."""

    class_score: float
    mask_iou: float

    # The defaults let copies be made, which get their attributes afterwards.
    def __new__(
        cls, mask_score: float, class_score: float = math.nan, mask_iou: float = math.nan
    ) -> MaskScore:
        score = super().__new__(cls, mask_score)
        score.class_score, score.mask_iou = class_score, mask_iou
        return score


class _Inferencer(DetInferencerWrapper, MaskScoringInferencer):
    """SAHI's call of mmdet's inferencer, with the predictions of ours."""


class MaskScoringSahiModel(MmdetDetectionModel):
    """SAHI's model of mmdet, ranked by mask score; takes what that takes.

    ``prediction.score.value`` is a `MaskScore`. ``confidence_threshold`` applies to it.
    """

    def load_model(self) -> None:
        self.set_model(
            _Inferencer(
                self.config_path,
                self.model_path,
                device=str(self.device),
                scope=self.scope,
                image_size=self.image_size,
            )
        )

    def perform_inference(self, image: np.ndarray) -> None:
        super().perform_inference(image)
        for prediction in self._original_predictions:
            if 'mask_scores' not in prediction:
                raise ValueError(
                    'the model predicts no mask scores; expected one with a MaskIoU head '
                    "(roi_head=dict(type='MSRoIHead', ...)), or use SAHI's own mmdet model"
                )
            columns = (prediction[name] for name in ('mask_scores', 'scores', 'mask_ious'))
            prediction['scores'] = [MaskScore(*values) for values in zip(*columns)]
            # SAHI stops at a mask without a polygon, such as a diagonal of pixels.
            kept = [i for i, mask in enumerate(prediction['masks']) if _has_polygon(mask)]
            for name, values in prediction.items():
                prediction[name] = [values[i] for i in kept]


def _has_polygon(mask: dict[str, Any]) -> bool:
    return bool(get_coco_segmentation_from_bool_mask(mask_utils.decode(mask)))
