"""The mixin that gives a two-stage RoI head of mmdet its mask score (paper, figure 3).

Training:   host's mask loss  -> RoI features, mask logits -> MaskIoU head -> loss_mask_iou.
Prediction: host's prediction -> RoI features, mask logits -> MaskIoU head -> s_cls * s_iou.

The host's own results are those it would give without the mixin.
"""

from collections.abc import Sequence
from typing import Any, Union

import torch
from mmdet.models.task_modules.samplers import SamplingResult
from mmdet.registry import MODELS, TASK_UTILS
from mmdet.structures import SampleList
from mmdet.structures.bbox import get_box_tensor
from mmdet.utils import ConfigType, InstanceList, OptConfigType
from torch import Tensor, nn
from torch.nn.modules.utils import _pair

from ..geometry import RoIGroundTruth, choose_class
from .channels_last import train_channels_last
from .ground_truth_masks import prepare_masks
from .mask_forward import (
    MaskForward,
    arguments,
    observe_emitted_masks,
    observe_mask_head,
    stages,
)


class MaskScoringMixin:
    """Put before a RoI head of mmdet, or one of your own::

        @MODELS.register_module()
        class MyScoringHead(MaskScoringMixin, MyRoIHead):
            pass

    and name it in the config, ``roi_head=dict(type='MyScoringHead', mask_iou_head=dict(
    type='MSMaskIoUHead'), ...)``. It asks of the head what all of mmdet's do: ``mask_loss`` has
    arguments named ``sampling_results`` and ``batch_gt_instances`` and returns ``mask_preds`` and
    ``loss_mask``; ``predict_mask`` ends in ``predict_by_feat`` of its ``mask_head``.

    Predictions gain ``mask_ious`` (N,) in [0, 1] and ``mask_scores`` (N,), the product of class
    score and mask IoU; also for no detections. What is scored is the mask that is emitted.

    Shapes: ``R`` RoIs of the batch, ``K`` classes, ``M`` side of a mask.

    Args:
        mask_iou_head: config of the MaskIoU head; its ``in_channels``, ``roi_feat_size`` and
            ``num_classes`` are the host's and need not be given.
        mask_iou_sampler: what the MaskIoU head learns from, ``dict(type='DetectionSampler')`` for
            what the model detects; the mask head's positives for None, as in the paper.
        mask_iou_calibration: config of a :class:`MaskIoUCalibration`, for a calibrated checkpoint.
        rescore_boxes: write the mask scores to ``scores`` as well, as mmdet 3.x's MS R-CNN does;
            box AP is then that of the mask scores.
    """

    def __init__(
        self,
        *args,
        mask_iou_head: ConfigType,
        mask_iou_sampler: OptConfigType = None,
        mask_iou_calibration: OptConfigType = None,
        rescore_boxes: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(*args, **kwargs)
        assert self.with_mask
        self.mask_iou_head = self._build_mask_iou_head(mask_iou_head)
        self.mask_iou_sampler = mask_iou_sampler and TASK_UTILS.build(mask_iou_sampler)
        self.mask_iou_calibration = mask_iou_calibration and MODELS.build(mask_iou_calibration)
        self.rescore_boxes = rescore_boxes
        for mask_head in stages(self.mask_head):
            train_channels_last(mask_head, stages(self.mask_iou_head)[-1])

    @property
    def with_mask(self) -> bool:
        """Never False: some hosts ask while they are made, and theirs would be a bare assertion."""
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
        """The host's losses, and ``loss_mask_iou`` among them."""
        if self.mask_iou_sampler is None:
            return super().loss(x, rpn_results_list, batch_data_samples)
        # The host takes the boxes out of the proposals.
        proposals = [rpn_results.clone() for rpn_results in rpn_results_list]
        losses = super().loss(x, rpn_results_list, batch_data_samples)
        return {**losses, **self._sampled_loss(x, proposals, batch_data_samples)}

    def mask_loss(self, *args, **kwargs) -> dict:
        """The host's mask loss; with the loss of the MaskIoU head if it learns from positives."""
        given = arguments(super().mask_loss, *args, **kwargs)
        prepare_masks(given['batch_gt_instances'], given['sampling_results'][0].pos_priors.device)
        with observe_mask_head(self.mask_head) as forwards:
            results = super().mask_loss(*args, **kwargs)
        if self.mask_iou_sampler is None:
            # What the host's loss was given, which need not be what came out of the mask head.
            forward = forwards[-1]._replace(mask_logits=results['mask_preds'])
            results['loss_mask'].update(self._positives_loss(forward, given))
        return results

    def predict_mask(self, *args, **kwargs) -> InstanceList:
        """The host's prediction, in its order, with ``mask_ious`` and ``mask_scores``."""
        head = self.mask_head
        with observe_mask_head(head) as forwards, observe_emitted_masks(head) as emitted:
            results_list = super().predict_mask(*args, **kwargs)
        self.score_masks(forwards, emitted, results_list)
        return results_list

    def mute_host_losses(self) -> None:
        """From now on give no loss but the MaskIoU head's."""
        if self.mask_iou_sampler is not None:
            self.loss = self._sampled_loss
            return
        loss = self.loss
        self.loss = lambda *args, **kwargs: {
            name: value for name, value in loss(*args, **kwargs).items() if 'mask_iou' in name
        }
        for mask_head in stages(self.mask_head):
            mask_head.loss_and_target = _no_mask_loss

    def _build_mask_iou_head(self, mask_iou_head: ConfigType, stage: int = -1) -> nn.Module:
        if not isinstance(mask_iou_head, dict):
            raise TypeError(
                f'mask_iou_head is a {type(mask_iou_head).__name__}; {type(self).__name__} takes '
                "one config, dict(type='MSMaskIoUHead'). A list is for the stages of a cascade."
            )
        return MODELS.build(_with_host_sizes(mask_iou_head, self._scoring_sizes(stage)))

    def _scoring_sizes(self, stage: int) -> dict[str, Union[int, tuple[int, int]]]:
        """What a MaskIoU head has to know of what it will see, `_scoring_feats`, and predict."""
        return host_sizes(self, stage)

    def _scoring_feats(self, forward: MaskForward) -> Tensor:
        """(R, C, S, S) the feature that the MaskIoU head sees: the mask head's."""
        return forward.roi_feats

    def _positives_loss(self, forward: MaskForward, given: dict[str, Any]) -> dict[str, Tensor]:
        """The loss of one forward of the mask head; ``given`` to the host's ``mask_loss``."""
        labels = torch.cat([res.pos_gt_labels for res in given['sampling_results']])
        mask_probs = choose_class(self._learned_logits(forward, given), labels).sigmoid()
        ground_truth = _positives_ground_truth(
            given['sampling_results'], given['batch_gt_instances'], tuple(mask_probs.shape[1:])
        )
        head = self._mask_iou_head_of(given.get('stage', -1))
        mask_ious = head(self._scoring_feats(forward), mask_probs)
        return head.loss(mask_ious, labels, head.target(mask_probs, ground_truth))

    def _sampled_loss(
        self,
        x: tuple[Tensor, ...],
        rpn_results_list: InstanceList,
        batch_data_samples: SampleList,
    ) -> dict[str, Tensor]:
        samples = self.mask_iou_sampler(self, x, rpn_results_list, batch_data_samples)
        pairs = self._scoring_pairs(samples.forwards) or self._pairs_of_nothing(x[0])
        losses = [
            head.loss(head(roi_feats, samples.mask_probs), samples.labels, samples.target)
            for head, roi_feats in pairs
        ]
        return {name: sum(loss[name] for loss in losses) / len(losses) for name in losses[0]}

    def _learned_logits(self, forward: MaskForward, given: dict[str, Any]) -> Tensor:
        """(R, K, M, M) the masks of the positives whose IoU is learned."""
        return forward.mask_logits

    def _mask_iou_head_of(self, stage: int) -> nn.Module:
        heads = stages(self.mask_iou_head)
        return heads[stage % len(heads)]  # the only one serves all stages

    def score_masks(
        self, forwards: Sequence[MaskForward], emitted: Sequence[Tensor], results_list: InstanceList
    ) -> None:
        """Write the scores into the host's results.

        Args:
            forwards: the mask head's calls for the batch; none where nothing is detected.
            emitted: of each image the (N, M, M) probabilities of its masks.
            results_list: of each image the N detections.
        """
        labels = torch.cat([results.labels for results in results_list])
        if forwards:
            mask_ious = self._predict_mask_ious(forwards, torch.cat(emitted), labels)
        else:  # No detection in the batch: the host returns before its mask head.
            mask_ious = labels.new_zeros(0, dtype=torch.float32)
        counts = [len(results) for results in results_list]
        for results, ious in zip(results_list, mask_ious.split(counts)):
            results.mask_ious = ious
            results.mask_scores = self._mask_scores(results.scores, ious)
            if self.mask_iou_calibration is not None:
                self.mask_iou_calibration.rescore(results)
            if self.rescore_boxes:
                results.scores = results.mask_scores

    def _mask_scores(self, scores: Tensor, mask_ious: Tensor) -> Tensor:
        """(N,) s_mask = s_cls · s_iou (paper, section 3.1)."""
        return scores * mask_ious

    def _predict_mask_ious(
        self, forwards: Sequence[MaskForward], mask_probs: Tensor, labels: Tensor
    ) -> Tensor:
        """(R,) IoU in [0, 1] of the emitted masks (R, M, M)."""
        mask_ious = [
            head.predict(roi_feats, mask_probs, labels)
            for head, roi_feats in self._scoring_pairs(forwards)
        ]
        return torch.stack(mask_ious).mean(0)

    def _scoring_pairs(self, forwards: Sequence[MaskForward]) -> list[tuple[nn.Module, Tensor]]:
        """The MaskIoU heads that score the emitted masks, each with its RoI feature: the last."""
        return [
            (self._mask_iou_head_of(-1), self._scoring_feats(forward)) for forward in forwards[-1:]
        ]

    def _pairs_of_nothing(self, feature: Tensor) -> list[tuple[nn.Module, Tensor]]:
        """Every MaskIoU head with the RoI features (0, C, S, S) of no RoI.

        Other processes may have some, and would wait for a gradient.
        """
        return [
            (head, feature.new_zeros(0, head.in_channels, *head.roi_feat_size))
            for head in stages(self.mask_iou_head)
        ]


def host_sizes(roi_head: nn.Module, stage: int) -> dict[str, Union[int, tuple[int, int]]]:
    """What the MaskIoU head has to know of its host: feature channels and size, and classes."""
    extractor = stages(roi_head.mask_roi_extractor)[stage]
    feats = torch.zeros(1, extractor.out_channels, *extractor.roi_layers[0].output_size)
    if roi_head.with_shared_head:
        feats = _eval_forward(roi_head.shared_head, feats)
    return dict(
        in_channels=feats.size(1),
        roi_feat_size=tuple(feats.shape[2:]),
        num_classes=stages(roi_head.bbox_head)[stage].num_classes,
    )


def _eval_forward(module: nn.Module, feats: Tensor) -> Tensor:
    """Forward that leaves no trace: batch norm's statistics stay, and no gradient is kept."""
    training = module.training
    module.eval()
    with torch.no_grad():
        feats = module(feats)
    module.train(training)
    return feats


def _with_host_sizes(mask_iou_head: ConfigType, sizes: dict) -> dict:
    """The head's config with the host's sizes; a given one that disagrees is refused."""
    for name, size in sizes.items():
        given = mask_iou_head.get(name)
        if given is not None and _pair(given) != _pair(size):
            raise ValueError(
                f'mask_iou_head: {name}={given} was given, the RoI head it belongs to has {size}. '
                f'Leave {name} out: it is taken from there.'
            )
    return {**mask_iou_head, **sizes}


def _no_mask_loss(mask_preds: Tensor, **kwargs) -> dict:
    return dict(loss_mask=dict(loss_mask=mask_preds.new_zeros(())))


def _positives_ground_truth(
    sampling_results: Sequence[SamplingResult],
    batch_gt_instances: InstanceList,
    size: tuple[int, int],
) -> RoIGroundTruth:
    """Ground truth of all positives of the batch, image after image, as the host orders them."""
    images = [
        gts.masks.take_ground_truth(get_box_tensor(res.pos_priors), res.pos_assigned_gt_inds, size)
        for res, gts in zip(sampling_results, batch_gt_instances)
    ]
    return RoIGroundTruth(*(torch.cat(parts) for parts in zip(*images)))
