"""Hosts whose boxes, and mostly masks, come in stages.

The mask that is emitted is scored, which no stage need have made by itself.
"""

from collections.abc import Sequence
from typing import Optional, Union

from mmdet.models.roi_heads import CascadeRoIHead, HybridTaskCascadeRoIHead, SCNetRoIHead
from mmdet.registry import MODELS
from mmdet.utils import ConfigType
from mmengine.model import ModuleList
from torch import Tensor, nn

from .mask_forward import MaskForward, stages
from .mask_scoring import MaskScoringMixin


class CascadeScoring(MaskScoringMixin):
    """Each stage is learned from: its mask, its RoI feature, weighted as the host weights it.

    Args:
        mask_iou_head: config of the MaskIoU head that all stages share, or a list with one for each
            stage.
        average_stages: predict the mean IoU over the stages, each with its head and RoI feature,
            instead of the last stage's. mmdet's cascades show all stages the same RoI feature at
            prediction, so that this is for a head for each stage.
    """

    def __init__(self, *args, average_stages: bool = False, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.average_stages = average_stages
        if self.mask_iou_sampler and not average_stages and len(stages(self.mask_iou_head)) > 1:
            raise ValueError(
                'mask_iou_head is a list and mask_iou_sampler is given: what is detected is scored '
                'by the last head alone, and the others would never learn. Give one config, or '
                'average_stages=True.'
            )

    def _build_mask_iou_head(
        self, mask_iou_head: Union[ConfigType, list[ConfigType]], stage: int = -1
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

    def _scoring_pairs(self, forwards: Sequence[MaskForward]) -> list[tuple[nn.Module, Tensor]]:
        if not self.average_stages:
            return super()._scoring_pairs(forwards)
        return [
            (self._mask_iou_head_of(stage), self._scoring_feats(forward))
            for stage, forward in enumerate(forwards)
        ]


@MODELS.register_module()
class MSCascadeRoIHead(CascadeScoring, CascadeRoIHead):
    """mmdet's ``CascadeRoIHead`` with mask scoring; it emits the mean mask of its stages."""


@MODELS.register_module()
class MSHTCRoIHead(CascadeScoring, HybridTaskCascadeRoIHead):
    """mmdet's ``HybridTaskCascadeRoIHead`` with mask scoring.

    mmdet 3's HTC runs the mask heads of all stages and emits the mask of the last.
    """


@MODELS.register_module()
class MSSCNetRoIHead(MaskScoringMixin, SCNetRoIHead):
    """mmdet's ``SCNetRoIHead`` with mask scoring.

    SCNet has one mask head, after the last stage. What it sees, the RoI feature with semantic
    feature, global context and relayed box feature added, is what the MaskIoU head sees, and its
    loss has the weight of the mask loss, the sum of the stages'.
    """

    def mask_loss(self, *args, relayed_feat: Optional[Tensor] = None, **kwargs) -> dict:
        results = super().mask_loss(*args, relayed_feat=relayed_feat, **kwargs)
        loss = results['loss_mask'].get('loss_mask_iou', 0)
        if self.with_feat_relay and relayed_feat is None:
            # Without positives mmdet leaves the relay head out. Other processes that have some
            # would wait for its gradient.
            loss = loss + 0 * sum(param.sum() for param in self.feat_relay_head.parameters())
        self._loss_mask_iou = loss
        return results

    def loss(self, *args, **kwargs) -> dict:
        try:
            losses = super().loss(*args, **kwargs)
        finally:
            # The host takes no loss from mask_loss but loss_mask.
            loss = sum(self.stage_loss_weights) * vars(self).pop('_loss_mask_iou', 0)
        return dict(losses, loss_mask_iou=loss + losses.get('loss_mask_iou', 0))
