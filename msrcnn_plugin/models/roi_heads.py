"""Hosts with one mask head: mmdet's RoI heads with mask scoring, ``MS`` + the host's name.

The mask that the mask head gives is the mask that is emitted, scored and learned from.
"""

from typing import Optional

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
from torch import Tensor

from ..geometry import choose_class
from .mask_forward import observe_mask_head
from .mask_scoring import MaskScoringMixin


class StandardScoring(MaskScoringMixin):
    """What mmdet's ``StandardRoIHead`` and its subclasses share beyond the mixin."""

    def mute_host_losses(self) -> None:
        super().mute_host_losses()
        if not self.share_roi_extractor:
            # Nothing but the muted loss needs the box head then.
            self.bbox_loss = lambda *args, **kwargs: dict(loss_bbox={}, bbox_feats=None)

    def forward(
        self,
        x: tuple[Tensor],
        rpn_results_list: InstanceList,
        batch_data_samples: Optional[SampleList] = None,
    ) -> tuple[Tensor, ...]:
        """The host's outputs without post-processing, and the predicted mask IoU (R, K) after them.

        The host takes the mask branch to the first 100 RoIs it is given. It is given one image at a
        time here, so that these are the first 100 of each image, not of the batch.
        """
        images = [
            self._forward_image(tuple(level[i : i + 1] for level in x), rpn_results)
            for i, rpn_results in enumerate(rpn_results_list)
        ]
        return tuple(torch.cat(outputs) for outputs in zip(*images))

    def _forward_image(self, x: tuple[Tensor], rpn_results) -> tuple[Tensor, ...]:
        with observe_mask_head(self.mask_head) as forwards:
            outputs = super().forward(x, [rpn_results])
        forward = forwards[-1]
        cls_score = outputs[0][: len(forward.mask_logits), : self.bbox_head.num_classes]
        mask_probs = choose_class(forward.mask_logits, cls_score.argmax(1)).sigmoid()
        return (*outputs, self.mask_iou_head(self._scoring_feats(forward), mask_probs))


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
