"""The hosts: mmdet's RoI heads with mask scoring, registered under ``MS`` + the host's name."""

from collections.abc import Sequence
from typing import Optional

import torch
from mmdet.models.roi_heads import CascadeRoIHead, HybridTaskCascadeRoIHead, StandardRoIHead
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from mmdet.utils import InstanceList
from torch import Tensor

from ..geometry import choose_class
from .mask_forward import MaskForward, observe_mask_head
from .mask_scoring import MaskScoringMixin


@MODELS.register_module()
class MSRoIHead(MaskScoringMixin, StandardRoIHead):
    """mmdet's ``StandardRoIHead``, the RoI head of Mask R-CNN, with mask scoring."""

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
        roi_feats, mask_logits = forwards[-1]
        cls_score = outputs[0][: len(mask_logits), : self.bbox_head.num_classes]
        mask_probs = choose_class(mask_logits, cls_score.argmax(1)).sigmoid()
        return (*outputs, self.mask_iou_head(roi_feats, mask_probs))


class _CascadeScoring(MaskScoringMixin):
    """A cascade's mask heads share one MaskIoU head: it learns at every stage, from the mask and
    the RoI feature of that stage and weighted as the host weights it, and scores the masks that are
    emitted, from the RoI feature of the last stage.
    """

    def _training_inputs(self, stage, x, sampling_results, batch_gt_instances, *args, **kwargs):
        return sampling_results, batch_gt_instances


@MODELS.register_module()
class MSCascadeRoIHead(_CascadeScoring, CascadeRoIHead):
    """mmdet's ``CascadeRoIHead`` with mask scoring; it emits the mean mask of its stages."""


@MODELS.register_module()
class MSHTCRoIHead(_CascadeScoring, HybridTaskCascadeRoIHead):
    """mmdet's ``HybridTaskCascadeRoIHead`` with mask scoring.

    mmdet 3's HTC runs the mask heads of all stages and emits the mask of the last.
    """

    def _emitted_mask_probs(self, forwards: Sequence[MaskForward], labels: Tensor) -> Tensor:
        return super()._emitted_mask_probs(forwards[-1:], labels)
