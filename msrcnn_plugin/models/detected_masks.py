"""Training samples of the MaskIoU head: what the model detects in its training images.

The paper's head learns from the mask head's positives: boxes that fit an object. At test it also
scores duplicates, boxes around half an object and boxes around none. A head that has seen none of
them predicts a high IoU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
import torch.nn.functional as F
from mmdet.registry import TASK_UTILS
from mmdet.structures import DetDataSample, SampleList
from mmdet.utils import InstanceList
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ..geometry import MaskIoUTarget, mask_areas, mask_intersections, pairwise_mask_iou
from .ground_truth_masks import prepare_masks
from .mask_forward import stages

LEAST_SCORE = 1e-6  # so that a class score of 0 can be drawn


class DetectedMasks(NamedTuple):
    """``R`` detections of a batch, in the order of its images.

    Attributes:
        roi_feats: (R, C, S, S) as the MaskIoU head sees them.
        mask_probs: (R, M, M) probability of the final masks.
        labels: (R,) long, the predicted classes.
        target: the exact mask IoU of each with the best ground truth of its class, or another
            sampler's target.
    """

    roi_feats: Tensor
    mask_probs: Tensor
    labels: Tensor
    target: MaskIoUTarget


@TASK_UTILS.register_module()
class DetectionSampler:
    """Detects in the training images as at test: the host's ``predict``, in eval mode.

    The target is the IoU that evaluation would compute at the resolution of the input image. It is
    0 for a false detection. What evaluation ignores has no target.
    Nothing but the MaskIoU head learns from the samples: they are detected without gradient.

    Args:
        num: detections drawn of each image, before their masks are predicted; None for all. It
            bounds the time of a step where images hold hundreds.
        score_power: a detection is drawn with a chance proportional to its class score to this
            power. 0 draws uniformly; 1 draws more of those that rank high, whose order AP depends
            on.
    """

    def __init__(self, num: int | None = None, score_power: float = 0.0) -> None:
        if num is not None and num < 1:
            raise ValueError(f'DetectionSampler: num={num}; give 1 or more, or None for all.')
        self.num = num
        self.score_power = score_power

    @torch.no_grad()
    def __call__(
        self,
        roi_head: Any,
        x: tuple[Tensor, ...],
        rpn_results_list: InstanceList,
        batch_data_samples: SampleList,
    ) -> DetectedMasks:
        """Detects in a batch, given the arguments of the host's ``loss``.

        Args:
            roi_head: with mask scoring.
            x: features of the pyramid's levels.
            rpn_results_list: proposals.
            batch_data_samples: with ``gt_instances`` that have masks.
        """
        prepare_masks([sample.gt_instances for sample in batch_data_samples], x[0].device)
        images = [_at_mask_resolution(sample) for sample in batch_data_samples]
        drawn, predictions = _boxes_drawn(roi_head, self._draw), _predictions_seen(roi_head)
        with evaluating(roi_head), drawn, predictions as seen:
            roi_head.predict(x, rpn_results_list, images, rescale=False)
        calls, final_mask_probs, results_list = seen[-1]
        if not calls:  # No detection in the batch: the host returns before its mask head.
            final_mask_probs = [x[0].new_zeros(0, 1, 1)] * len(images)
        targets = [
            self._target(roi_head, *found)
            for found in zip(results_list, final_mask_probs, batch_data_samples)
        ]
        return DetectedMasks(
            calls[-1].roi_feats if calls else _feats_of_nothing(roi_head, x[0]),
            torch.cat([*final_mask_probs]),
            torch.cat([results.labels for results in results_list]),
            MaskIoUTarget(*(torch.cat(parts) for parts in zip(*targets))),
        )

    def _target(
        self,
        roi_head: Any,
        results: InstanceData,
        mask_probs: Tensor,
        sample: DetDataSample,
    ) -> MaskIoUTarget:
        """Computes the target of an image's N detections with final masks (N, M, M)."""
        return detection_target(results.masks, results.labels, sample)

    def _draw(self, results: InstanceData) -> InstanceData:
        """Draws ``num`` of an image's detections, none of them twice, and keeps their order."""
        if self.num is None or len(results) <= self.num:
            return results
        chances = results.scores.clamp(min=LEAST_SCORE) ** self.score_power
        return results[torch.multinomial(chances, self.num).sort().values]


def _feats_of_nothing(roi_head: Any, feature: Tensor) -> Tensor:
    """Makes the RoI features (0, C, S, S) of no RoI.

    The loss of nothing still reaches the MaskIoU head: other processes may have detections, and
    would wait for its gradient.
    """
    head = stages(roi_head.mask_iou_head)[-1]
    return feature.new_zeros(0, head.in_channels, *head.roi_feat_size)


def detection_target(masks: Tensor, labels: Tensor, sample: DetDataSample) -> MaskIoUTarget:
    """Computes the exact mask IoU of an image's detections.

    Args:
        masks: (N, H, W) bool.
        labels: (N,), the class of each; or (K, 1), several to ask for each.
        sample: the image's ground truth, its masks of the same height and width.

    Returns:
        ``iou`` (N,) or (K, N), 0 without a ground truth of the class. ``valid``, as large, False
        for what evaluation ignores: a detection without a match, mostly in a crowd of its class.
    """
    iou, _ = best_ground_truth(masks, labels, sample.gt_instances)
    return MaskIoUTarget(iou, is_evaluated(iou, masks, labels, sample))


def best_ground_truth(masks: Tensor, labels: Tensor, gts: InstanceData) -> tuple[Tensor, Tensor]:
    """Finds, for each of an image's detections, the ground truth of its class that it fits best.

    Args:
        masks, labels: as `detection_target` takes them.
        gts: ``masks`` and ``labels`` of G instances.

    Returns:
        The exact mask IoU (N,) and the ground truth's index (N,) long; 0 and -1 where the mask
        touches none.
    """
    iou = pairwise_mask_iou(masks, _pixels(gts, masks))
    largest, place = _largest(iou * _same_class(labels, gts))
    return largest, torch.where(largest > 0, place, -1)


def is_evaluated(iou: Tensor, masks: Tensor, labels: Tensor, sample: DetDataSample) -> Tensor:
    """Tells which detections (N,) evaluation counts; it ignores those in a crowd without a match.

    Args:
        iou: (N,) exact mask IoU of each with its best ground truth.
        masks, labels, sample: as `detection_target` takes them.
    """
    crowds = sample.get('ignored_instances', InstanceData())
    if 'masks' not in crowds:
        return torch.ones_like(iou, dtype=torch.bool)
    shared = mask_intersections(masks, _pixels(crowds, masks))
    largest, _ = _largest(shared * _same_class(labels, crowds))
    return (iou >= 0.5) | (largest <= 0.5 * mask_areas(masks))


def _same_class(labels: Tensor, instances: InstanceData) -> Tensor:
    """Compares classes: (N, G) bool, or (K, 1, G)."""
    return labels[..., None] == instances.labels


def _pixels(instances: InstanceData, like: Tensor) -> Tensor:
    """Gives the instances' masks (G, H, W) bool with the size and device of ``like`` (N, H, W)."""
    masks, size = instances.masks, tuple(like.shape[1:])
    if (masks.height, masks.width) != size:
        masks = masks.pad(size)  # mmdet's preprocessor pads those of gt_instances alone
    return masks.to_tensor(torch.bool, like.device)


def _largest(values: Tensor) -> tuple[Tensor, Tensor]:
    """Finds the largest (..., N) of each row of (..., N, G), and its place; 0 and -1 for G = 0."""
    largest, place = F.pad(values, (1, 0)).max(-1)
    return largest, place - 1


def _at_mask_resolution(sample: DetDataSample) -> DetDataSample:
    """Makes the metadata with which the host pastes masks into the (padded) training image."""
    masks = sample.gt_instances.masks
    size = dict(ori_shape=(masks.height, masks.width), scale_factor=(1.0, 1.0))
    return DetDataSample(metainfo={**sample.metainfo, **size})


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Sets eval mode; afterwards each layer is in the mode it had, frozen ones too."""
    modes = [(layer, layer.training) for layer in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for layer, mode in modes:
            layer.training = mode


@contextmanager
def _boxes_drawn(roi_head: Any, draw: Callable[[InstanceData], InstanceData]) -> Iterator[None]:
    """Keeps the drawn boxes alone, before masks are predicted for all."""
    predict_bbox = roi_head.predict_bbox

    def draw_from_all(*args: Any, **kwargs: Any) -> InstanceList:
        return [draw(results) for results in predict_bbox(*args, **kwargs)]

    with patch.object(roi_head, 'predict_bbox', draw_from_all):
        yield


@contextmanager
def _predictions_seen(roi_head: Any) -> Iterator[list]:
    """Collects what would be scored, unscored: the MaskIoU head sees it later, with gradient."""
    seen: list = []
    with patch.object(roi_head, 'score_masks', lambda *given: seen.append(given)):
        yield seen
