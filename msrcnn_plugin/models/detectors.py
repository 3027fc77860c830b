"""Detectors of mmdet without RoI heads, with mask scoring: ``MS`` + the host's name."""

from __future__ import annotations

from typing import Any

from mmdet.models.data_preprocessors import BoxInstDataPreprocessor
from mmdet.models.dense_heads import RTMDetInsHead
from mmdet.models.detectors import (
    SOLO,
    YOLACT,
    BoxInst,
    CondInst,
    Mask2Former,
    MaskFormer,
    QueryInst,
    RTMDet,
    SOLOv2,
)
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from torch import Tensor

from .detector_scoring import DetectorMaskScoringMixin


@MODELS.register_module()
class MSRTMDet(DetectorMaskScoringMixin, RTMDet):
    """mmdet's ``RTMDet`` with an ``RTMDetInsHead``: RTMDet-Ins."""

    def mask_problem(self) -> str | None:
        if isinstance(self.bbox_head, RTMDetInsHead):
            return None
        return f'a {type(self.bbox_head).__name__} predicts none: use an RTMDetInsHead'


@MODELS.register_module()
class MSCondInst(DetectorMaskScoringMixin, CondInst):
    """mmdet's ``CondInst``."""


@MODELS.register_module()
class MSBoxInst(DetectorMaskScoringMixin, BoxInst):
    """mmdet's ``BoxInst``. Its MaskIoU head learns from masks, alone."""

    def loss(self, batch_inputs: Tensor, batch_data_samples: SampleList, **kwargs: Any) -> dict:
        if isinstance(self.data_preprocessor, BoxInstDataPreprocessor):
            raise ValueError(
                'BoxInstDataPreprocessor puts boxes in place of the masks whose IoU MSBoxInst '
                'learns: train the MaskIoU head alone, with data_preprocessor=dict('
                "type='DetDataPreprocessor', ...)."
            )
        return super().loss(batch_inputs, batch_data_samples, **kwargs)


@MODELS.register_module()
class MSYOLACT(DetectorMaskScoringMixin, YOLACT):
    """mmdet's ``YOLACT``."""


@MODELS.register_module()
class MSSOLO(DetectorMaskScoringMixin, SOLO):
    """mmdet's ``SOLO``; with a ``DecoupledSOLOHead``, Decoupled SOLO."""


@MODELS.register_module()
class MSSOLOv2(DetectorMaskScoringMixin, SOLOv2):
    """mmdet's ``SOLOv2``."""


@MODELS.register_module()
class MSQueryInst(DetectorMaskScoringMixin, QueryInst):
    """mmdet's ``QueryInst``. It pastes its masks, so the binary ones are scored."""

    def scored_classes(self) -> int | None:
        return int(self.roi_head.bbox_head[-1].num_classes)


class QueryScoring(DetectorMaskScoringMixin):
    """Adds to the mixin what ``MaskFormer`` and ``Mask2Former`` share."""

    scoring_feature = 'panoptic_head.pixel_decoder'

    def mask_problem(self) -> str | None:
        if not self.test_cfg.get('instance_on', False):
            return 'test_cfg has no instance_on=True, without which the model predicts no instances'
        if self.test_cfg.get('semantic_on', False):
            return 'test_cfg has semantic_on=True, which mmdet does not support: set it to False'
        return None

    def scored_classes(self) -> int | None:
        return int(self.num_things_classes)

    def feature_levels(self) -> list[tuple[int, int]]:
        # The mask feature, of the size of the backbone's finest level.
        channels = self.panoptic_head.pixel_decoder.mask_feature.out_channels
        return [(channels, super().feature_levels()[0][1])]


@MODELS.register_module()
class MSMaskFormer(QueryScoring, MaskFormer):
    """mmdet's ``MaskFormer``, with ``instance_on=True``."""


@MODELS.register_module()
class MSMask2Former(QueryScoring, Mask2Former):
    """mmdet's ``Mask2Former``, with ``instance_on=True``."""
