"""The mixin that gives a two-stage RoI head of mmdet its mask score (paper, figure 3).

Training:   host's mask loss  -> RoI features, mask logits -> MaskIoU head -> loss_mask_iou.
Prediction: host's prediction -> RoI features, final masks -> MaskIoU head -> s_cls * s_iou.
            With a ranking head: -> refined IoU, and U in place of the product.

The host's own results are those it would give without the mixin.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from mmdet.registry import MODELS, TASK_UTILS
from mmdet.structures import SampleList
from mmdet.utils import ConfigType, InstanceList, OptConfigType
from mmengine.structures import InstanceData
from torch import Tensor, nn
from torch.nn.modules.utils import _pair

from ..geometry import gather_by_label
from .channels_last import train_channels_last
from .detected_masks import evaluating
from .fitted_scores import FittedScores
from .mask_forward import (
    MaskHeadCall,
    MaskLossInputs,
    arguments,
    observe_final_masks,
    observe_mask_head,
    observe_mask_loss,
    stages,
)


class MaskScoringMixin(FittedScores):
    """Adds a mask score to a two-stage RoI head: one of mmdet's, or one of your own.

    Put it before the RoI head::

        @MODELS.register_module()
        class MyScoringHead(MaskScoringMixin, MyRoIHead):
            pass

    and name it in the config, ``roi_head=dict(type='MyScoringHead', mask_iou_head=dict(
    type='MSMaskIoUHead'), ...)``. All of mmdet's RoI heads meet its requirements. ``mask_loss``
    calls ``loss_and_target`` of the mask head, with arguments named as mmdet names them, and
    returns ``loss_mask``. ``predict_mask`` ends in ``predict_by_feat`` of the mask head.

    Predictions gain ``mask_ious`` (N,) in [0, 1] and ``mask_scores`` (N,), the product of class
    score and mask IoU; also for no detections. What is scored is the final mask.

    Shapes: ``R`` RoIs of the batch, ``K`` classes, ``M`` side of a mask.

    Args:
        mask_iou_head: config of the MaskIoU head; its ``in_channels``, ``roi_feat_size`` and
            ``num_classes`` are the host's and need not be given.
        mask_iou_sampler: what the MaskIoU head learns from. ``dict(type='DetectionSampler')`` is
            what the model detects; None is the mask head's positives, as in the paper.
        mask_iou_calibration: config of a :class:`MaskIoUCalibration`, for a calibrated checkpoint.
            With a ranking head it maps the refined IoU.
        mask_rank_head: config of a :class:`MSMaskRankHead`, for a checkpoint of ``msrcnn fit``. It
            is not trained with the model.
        rescore_boxes: write the mask scores to ``scores`` as well, as mmdet 3.x's MS R-CNN does;
            box AP is then that of the mask scores.
    """

    # Whether ``loss`` gives the MaskIoU head's loss alone. The host's are then not computed, where
    # that saves time. A flag and not a replaced method: a copy of the model keeps its meaning.
    only_mask_iou_loss = False
    mask_iou_head: Any  # one, or a ModuleList of one for each stage

    def __init__(
        self,
        *args: Any,
        mask_iou_head: ConfigType,
        mask_iou_sampler: OptConfigType = None,
        mask_iou_calibration: OptConfigType = None,
        mask_rank_head: OptConfigType = None,
        rescore_boxes: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        assert self.with_mask
        self.mask_iou_head = self._build_mask_iou_head(mask_iou_head)
        self.mask_iou_sampler = mask_iou_sampler and TASK_UTILS.build(mask_iou_sampler)
        self.build_fitted(mask_rank_head, mask_iou_calibration)
        self.rescore_boxes = rescore_boxes
        for mask_head in stages(self.mask_head):
            train_channels_last(mask_head, stages(self.mask_iou_head)[-1])

    @property
    def with_mask(self) -> bool:
        """Is never False: a host without a mask branch is refused.

        Some hosts ask while they are built, and theirs would be a bare assertion.
        """
        if not super().with_mask:
            raise ValueError(
                f'{type(self).__name__} scores masks, but the model has no mask branch: '
                'give mask_roi_extractor and mask_head, or use the host without mask scoring.'
            )
        return True

    def loss(
        self,
        x: tuple[Tensor, ...],
        rpn_results_list: InstanceList,
        batch_data_samples: SampleList,
    ) -> dict:
        """Computes the host's losses, and ``loss_mask_iou`` among them."""
        if self.mask_iou_sampler is None:
            losses = super().loss(x, rpn_results_list, batch_data_samples)
        elif self.only_mask_iou_loss:
            losses = self._sampled_loss(x, rpn_results_list, batch_data_samples)
        else:
            # The host takes the boxes out of the proposals.
            proposals = [rpn_results.clone() for rpn_results in rpn_results_list]
            losses = super().loss(x, rpn_results_list, batch_data_samples)
            losses = {**losses, **self._sampled_loss(x, proposals, batch_data_samples)}
        if self.only_mask_iou_loss:
            return {name: value for name, value in losses.items() if 'mask_iou' in name}
        return losses

    def mask_loss(self, *args: Any, **kwargs: Any) -> dict:
        """Computes the host's mask loss, and the MaskIoU head's if it learns from positives."""
        with observe_mask_loss(self.mask_head, muted=self.only_mask_iou_loss) as given:
            if self.mask_iou_sampler is not None:
                return super().mask_loss(*args, **kwargs)
            with self._observe_mask_head() as calls:
                results = super().mask_loss(*args, **kwargs)
        x = arguments(super().mask_loss, *args, **kwargs).get('x', ())
        results['loss_mask'].update(self._positives_loss(calls[-1], given[-1], x))
        return results

    def predict_mask(self, *args: Any, **kwargs: Any) -> InstanceList:
        """Gives the host's prediction, in its order, with ``mask_ious`` and ``mask_scores``."""
        final_masks = observe_final_masks(self.mask_head)
        with self._observe_mask_head() as calls, final_masks as final_mask_probs:
            results_list = super().predict_mask(*args, **kwargs)
        self.score_masks(calls, final_mask_probs, results_list)
        return results_list

    def score_masks(
        self,
        calls: Sequence[MaskHeadCall],
        final_mask_probs: Sequence[Tensor],
        results_list: InstanceList,
    ) -> None:
        """Writes the scores into the host's results.

        Args:
            calls: the mask head's calls for the batch; none where nothing is detected.
            final_mask_probs: of each image the (N, M, M) probabilities of its masks.
            results_list: of each image the N detections.
        """
        labels = torch.cat([results.labels for results in results_list])
        if calls:
            head = self._mask_iou_head_of(-1)
            mask_ious = head.predict(calls[-1].roi_feats, torch.cat([*final_mask_probs]), labels)
        else:  # No detection in the batch: the host returns before its mask head.
            mask_ious = labels.new_zeros(0, dtype=torch.float32)
        counts = [len(results) for results in results_list]
        mask_probs = final_mask_probs or [mask_ious.new_zeros(0, 1, 1)] * len(counts)
        for results, ious, probs in zip(results_list, mask_ious.split(counts), mask_probs):
            self.score_instances(results, ious, probs)

    def score_instances(self, results: InstanceData, *args: Any, **kwargs: Any) -> None:
        """Also writes the mask scores to ``scores``, if ``rescore_boxes`` says so."""
        super().score_instances(results, *args, **kwargs)
        if self.rescore_boxes:
            results.scores = results.mask_scores

    def _build_mask_iou_head(self, mask_iou_head: ConfigType, stage: int = -1) -> nn.Module:
        if not isinstance(mask_iou_head, dict):
            raise TypeError(
                f'mask_iou_head is a {type(mask_iou_head).__name__}; {type(self).__name__} takes '
                "one config, dict(type='MSMaskIoUHead'). A list is for the stages of a cascade."
            )
        return MODELS.build(with_host_sizes(mask_iou_head, self._scoring_sizes(stage)))

    def _scoring_sizes(self, stage: int) -> dict[str, Any]:
        """Finds the channels and size of the features that the MaskIoU head sees, and classes."""
        extractor = stages(self.mask_roi_extractor)[stage]
        feats = torch.zeros(1, extractor.out_channels, *extractor.roi_layers[0].output_size)
        if self.with_shared_head:
            with torch.no_grad(), evaluating(self.shared_head):
                feats = self.shared_head(feats)
        return dict(
            in_channels=feats.size(1),
            roi_feat_size=tuple(feats.shape[2:]),
            num_classes=stages(self.bbox_head)[stage].num_classes,
        )

    def _observe_mask_head(self) -> AbstractContextManager[list[MaskHeadCall]]:
        """Collects the mask head's calls; the MaskIoU head sees the ``roi_feats`` of the last."""
        return observe_mask_head(self.mask_head)

    def _positives_loss(
        self, call: MaskHeadCall, given: MaskLossInputs, x: tuple[Tensor, ...]
    ) -> dict[str, Tensor]:
        if len(call.roi_feats) != len(given.labels):
            raise ValueError(
                f'the mask head saw {len(call.roi_feats)} RoIs, its loss {len(given.labels)}: a '
                'RoI head that drops RoIs has to drop them before its mask head.'
            )
        mask_probs = gather_by_label(self._learned_logits(given, x), given.labels).sigmoid()
        head = self._mask_iou_head_of(given.stage)
        mask_ious = head(call.roi_feats, mask_probs)
        height, width = mask_probs.shape[1:]
        target = head.target(mask_probs, given.ground_truth((height, width)))
        return head.loss(mask_ious, given.labels, target)

    def _learned_logits(self, given: MaskLossInputs, x: tuple[Tensor, ...]) -> Tensor:
        """Gives the masks (R, K, M, M) of the positives whose IoU is learned."""
        return given.mask_logits

    def _sampled_loss(
        self,
        x: tuple[Tensor, ...],
        rpn_results_list: InstanceList,
        batch_data_samples: SampleList,
    ) -> dict[str, Tensor]:
        samples = self.mask_iou_sampler(self, x, rpn_results_list, batch_data_samples)
        head = self._mask_iou_head_of(-1)
        mask_ious = head(samples.roi_feats, samples.mask_probs)
        return head.loss(mask_ious, samples.labels, samples.target)

    def _mask_iou_head_of(self, stage: int) -> Any:
        heads = stages(self.mask_iou_head)
        return heads[stage % len(heads)]  # the only one serves all stages


def with_host_sizes(mask_iou_head: ConfigType, sizes: dict[str, Any]) -> dict[str, Any]:
    """Adds the sizes that the host knows to the head's config; one that disagrees is refused."""
    sizes = {name: size for name, size in sizes.items() if size is not None}
    for name, size in sizes.items():
        given = mask_iou_head.get(name)
        if given is not None and _pair(given) != _pair(size):
            raise ValueError(
                f'mask_iou_head: {name}={given} was given, the model it belongs to has {size}. '
                f'Leave {name} out: it is taken from there.'
            )
    return {**mask_iou_head, **sizes}
