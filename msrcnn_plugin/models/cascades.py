"""Hosts with several stages of boxes, and mostly of masks.

The final mask is scored. No single stage need have made it.
"""

from __future__ import annotations

from typing import Any

from mmdet.models.roi_heads import CascadeRoIHead, HybridTaskCascadeRoIHead, SCNetRoIHead
from mmdet.registry import MODELS
from mmdet.utils import ConfigType
from mmengine.model import ModuleList
from torch import Tensor, nn

from .mask_scoring import MaskScoringMixin


class CascadeScoring(MaskScoringMixin):
    """Every stage contributes a MaskIoU loss with the weight of the host's.

    A stage learns from its mask and its RoI feature. The last stage's head scores the final mask.

    Args:
        mask_iou_head: config of the MaskIoU head that all stages share, or a list with one for each
            stage.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if 'average_stages' in kwargs:
            raise ValueError(
                'average_stages was removed: mmdet shows all stages the same RoI feature at '
                "prediction, and the last stage's head scores the final mask. Leave it out."
            )
        super().__init__(*args, **kwargs)
        if self.mask_iou_sampler and isinstance(self.mask_iou_head, nn.ModuleList):
            raise ValueError(
                'mask_iou_head is a list and mask_iou_sampler is given: detections are scored by '
                'the last head alone, and the others would never learn. Give one config.'
            )

    def _build_mask_iou_head(
        self, mask_iou_head: ConfigType | list[ConfigType], stage: int = -1
    ) -> nn.Module:
        if not isinstance(mask_iou_head, list):
            return super()._build_mask_iou_head(mask_iou_head, stage)
        if len(mask_iou_head) != self.num_stages:
            raise ValueError(
                f'mask_iou_head is a list of {len(mask_iou_head)}, the cascade has '
                f'{self.num_stages} stages: give one config for each, or one that all share.'
            )
        return ModuleList(
            [self._build_mask_iou_head(cfg, stage) for stage, cfg in enumerate(mask_iou_head)]
        )


@MODELS.register_module()
class MSCascadeRoIHead(CascadeScoring, CascadeRoIHead):
    """mmdet's ``CascadeRoIHead`` with mask scoring; the final mask is the mean of its stages."""


@MODELS.register_module()
class MSHTCRoIHead(CascadeScoring, HybridTaskCascadeRoIHead):
    """mmdet's ``HybridTaskCascadeRoIHead`` with mask scoring.

    mmdet 3's HTC runs the mask heads of all stages; the final mask is the last one's.
    """


@MODELS.register_module()
class MSSCNetRoIHead(MaskScoringMixin, SCNetRoIHead):
    """mmdet's ``SCNetRoIHead`` with mask scoring.

    SCNet has one mask head, after the last stage. It sees the RoI feature with semantic feature,
    global context and relayed box feature added, and so does the MaskIoU head. The weight of the
    MaskIoU loss is that of the mask loss, the sum of the stages'.
    """

    def mask_loss(self, *args: Any, relayed_feat: Tensor | None = None, **kwargs: Any) -> dict:
        results = super().mask_loss(*args, relayed_feat=relayed_feat, **kwargs)
        loss = results['loss_mask'].get('loss_mask_iou', 0)
        if self.with_feat_relay and relayed_feat is None:
            # Without positives mmdet leaves the relay head out. Other processes that have some
            # would wait for its gradient.
            loss = loss + 0 * sum(param.sum() for param in self.feat_relay_head.parameters())
        self._loss_mask_iou = loss
        return results

    def loss(self, *args: Any, **kwargs: Any) -> dict:
        try:
            losses = super().loss(*args, **kwargs)
        finally:
            # The host takes no loss from mask_loss but loss_mask.
            loss = sum(self.stage_loss_weights) * self.__dict__.pop('_loss_mask_iou', 0)
        return dict(losses, loss_mask_iou=loss + losses.get('loss_mask_iou', 0))
