"""The mixin that gives a two-stage RoI head of mmdet its mask score (paper, figure 3).

Training:   host's mask loss  -> RoI features, mask logits -> MaskIoU head -> loss_mask_iou.
Prediction: host's prediction -> RoI features, mask logits -> MaskIoU head -> s_cls * s_iou.

The host's own results are those it would give without the mixin.
"""

from collections.abc import Sequence
from typing import Union

import torch
from mmdet.models.task_modules.samplers import SamplingResult
from mmdet.registry import MODELS
from mmdet.structures.bbox import get_box_tensor
from mmdet.utils import ConfigType, InstanceList, OptConfigType
from torch import Tensor, nn
from torch.nn.modules.utils import _pair

from ..geometry import RoIGroundTruth, choose_class, mask_iou_target
from .ground_truth_masks import prepare_masks
from .mask_forward import MaskForward, observe_mask_head, stages


class MaskScoringMixin:
    """Put before a RoI head of mmdet: ``class MyScoringHead(MaskScoringMixin, MyRoIHead)``.

    Predictions gain ``mask_ious`` (N,) in [0, 1] and ``mask_scores`` (N,), the product of class
    score and mask IoU; also for no detections.

    Shapes: ``R`` RoIs of the batch, ``K`` classes, ``M`` side of a mask.

    Args:
        mask_iou_head: config of the MaskIoU head; its ``in_channels``, ``roi_feat_size`` and
            ``num_classes`` are the host's and need not be given.
        mask_iou_calibration: config of a :class:`MaskIoUCalibration`, for a calibrated checkpoint.
        rescore_boxes: write the mask scores to ``scores`` as well, as mmdet 3.x's MS R-CNN does;
            box AP is then that of the mask scores.
    """

    def __init__(
        self,
        *args,
        mask_iou_head: ConfigType,
        mask_iou_calibration: OptConfigType = None,
        rescore_boxes: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(*args, **kwargs)
        if not self.with_mask:
            raise ValueError(
                f'{type(self).__name__} scores masks, but the model has no mask branch: '
                'give mask_roi_extractor and mask_head, or use the host without mask scoring.'
            )
        self.mask_iou_head = MODELS.build(_with_host_sizes(mask_iou_head, host_sizes(self)))
        self.mask_iou_calibration = (
            None if mask_iou_calibration is None else MODELS.build(mask_iou_calibration)
        )
        self.rescore_boxes = rescore_boxes

    def mask_loss(self, *args, **kwargs) -> dict:
        """The host's mask loss, and ``loss_mask_iou`` beside it."""
        sampling_results, batch_gt_instances = self._training_inputs(*args, **kwargs)
        prepare_masks(batch_gt_instances, sampling_results[0].pos_priors.device)
        with observe_mask_head(self.mask_head) as forwards:
            results = super().mask_loss(*args, **kwargs)
        loss = self._mask_iou_loss(forwards[-1], sampling_results, batch_gt_instances)
        results['loss_mask'].update(loss)
        return results

    def predict_mask(self, *args, **kwargs) -> InstanceList:
        """The host's prediction, in its order, with ``mask_ious`` and ``mask_scores``."""
        with observe_mask_head(self.mask_head) as forwards:
            results_list = super().predict_mask(*args, **kwargs)
        self._score(forwards, results_list)
        return results_list

    def mute_host_losses(self) -> None:
        """From now on give no loss but the MaskIoU head's."""
        bbox_loss = self.bbox_loss
        self.bbox_loss = lambda *args, **kwargs: {**bbox_loss(*args, **kwargs), 'loss_bbox': {}}
        for mask_head in stages(self.mask_head):
            mask_head.loss_and_target = lambda *args, **kwargs: dict(loss_mask={})

    def _training_inputs(
        self, x, sampling_results, bbox_feats, batch_gt_instances
    ) -> tuple[list[SamplingResult], InstanceList]:
        """Two of the arguments of the host's ``mask_loss``; a cascade's has others before them."""
        return sampling_results, batch_gt_instances

    def _mask_iou_loss(
        self,
        forward: MaskForward,
        sampling_results: Sequence[SamplingResult],
        batch_gt_instances: InstanceList,
    ) -> dict[str, Tensor]:
        labels = torch.cat([res.pos_gt_labels for res in sampling_results])
        mask_probs = choose_class(forward.mask_logits, labels).sigmoid()
        ground_truth = _positives_ground_truth(
            sampling_results, batch_gt_instances, tuple(mask_probs.shape[1:])
        )
        mask_ious = self.mask_iou_head(forward.roi_feats, mask_probs)
        target = mask_iou_target(mask_probs, ground_truth)
        return self.mask_iou_head.loss(mask_ious, labels, target)

    def _score(self, forwards: Sequence[MaskForward], results_list: InstanceList) -> None:
        labels = torch.cat([results.labels for results in results_list])
        if forwards:
            mask_probs = self._emitted_mask_probs(forwards, labels)
            mask_ious = self.mask_iou_head.predict(forwards[-1].roi_feats, mask_probs, labels)
        else:  # No detection in the batch: the host returns before its mask head.
            mask_ious = labels.new_zeros(0, dtype=torch.float32)
        counts = [len(results) for results in results_list]
        for results, ious in zip(results_list, mask_ious.split(counts)):
            results.mask_ious = ious
            results.mask_scores = results.scores * ious
            if self.mask_iou_calibration is not None:
                self.mask_iou_calibration.rescore(results)
            if self.rescore_boxes:
                results.scores = results.mask_scores

    def _emitted_mask_probs(self, forwards: Sequence[MaskForward], labels: Tensor) -> Tensor:
        """(R, M, M) probability of what the host emits: its mask head's, or the mean of stages."""
        stages = [choose_class(forward.mask_logits, labels).sigmoid() for forward in forwards]
        return torch.stack(stages).mean(0)


def host_sizes(roi_head: nn.Module) -> dict[str, Union[int, tuple[int, int]]]:
    """What the MaskIoU head has to know of its host: feature channels and size, and classes."""
    extractor = stages(roi_head.mask_roi_extractor)[-1]
    feats = torch.zeros(1, extractor.out_channels, *extractor.roi_layers[0].output_size)
    if roi_head.with_shared_head:
        feats = _eval_forward(roi_head.shared_head, feats)
    return dict(
        in_channels=feats.size(1),
        roi_feat_size=tuple(feats.shape[2:]),
        num_classes=stages(roi_head.bbox_head)[-1].num_classes,
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
