"""Hosts with one mask head: mmdet's RoI heads with mask scoring, ``MS`` + the host's name.

The mask head's mask is the final mask, which is scored and learned from.
"""

from __future__ import annotations

from typing import Any

import torch
from mmdet.models.roi_heads import (
    DoubleHeadRoIHead,
    DynamicRoIHead,
    PISARoIHead,
    StandardRoIHead,
)
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from mmdet.utils import InstanceList
from mmengine.structures import InstanceData
from torch import Tensor

from ..geometry import gather_by_label
from .mask_scoring import MaskScoringMixin


class StandardScoring(MaskScoringMixin):
    """Adds to the mixin what mmdet's ``StandardRoIHead`` and its subclasses share."""

    def bbox_loss(self, *args: Any, **kwargs: Any) -> dict:
        """Computes the host's box loss, unless only the MaskIoU head's loss is wanted."""
        if self.only_mask_iou_loss and not self.share_roi_extractor:
            # Nothing but that loss needs the box head then.
            return dict(loss_bbox={}, bbox_feats=None)
        return super().bbox_loss(*args, **kwargs)

    def forward(
        self,
        x: tuple[Tensor, ...],
        rpn_results_list: InstanceList,
        batch_data_samples: SampleList | None = None,
    ) -> tuple[Tensor, ...]:
        """Gives the host's outputs without post-processing, then the predicted IoU (R, K).

        The host applies its mask branch to the first 100 RoIs it is given. It is given one image
        at a time here, so that these are the first 100 of each image, not of the batch.
        """
        images = [
            self._forward_image(tuple(level[i : i + 1] for level in x), rpn_results)
            for i, rpn_results in enumerate(rpn_results_list)
        ]
        return tuple(torch.cat(outputs) for outputs in zip(*images))

    def _forward_image(
        self, x: tuple[Tensor, ...], rpn_results: InstanceData
    ) -> tuple[Tensor, ...]:
        with self._observe_mask_head() as calls:
            outputs = super().forward(x, [rpn_results])
        roi_feats, mask_logits = calls[-1]
        cls_score = outputs[0][: len(mask_logits), : self.bbox_head.num_classes]
        mask_probs = gather_by_label(mask_logits, cls_score.argmax(1)).sigmoid()
        return (*outputs, self.mask_iou_head(roi_feats, mask_probs))


@MODELS.register_module()
class MSRoIHead(StandardScoring, StandardRoIHead):
    """mmdet's ``StandardRoIHead``, the RoI head of Mask R-CNN, also with a shared head (C4)."""


@MODELS.register_module()
class MSDynamicRoIHead(StandardScoring, DynamicRoIHead):
    """mmdet's ``DynamicRoIHead``: Dynamic R-CNN, with a mask branch."""


@MODELS.register_module()
class MSDoubleHeadRoIHead(StandardScoring, DoubleHeadRoIHead):
    """mmdet's ``DoubleHeadRoIHead``: Double-Head R-CNN, with a mask branch."""


@MODELS.register_module()
class MSPISARoIHead(StandardScoring, PISARoIHead):
    """mmdet's ``PISARoIHead``: Prime Sample Attention, with a mask branch."""
