"""Training samples of the MaskIoU head of a detector without RoI heads: what it detects."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from mmdet.registry import TASK_UTILS
from mmdet.structures import DetDataSample, SampleList
from mmengine.structures import InstanceData
from torch import Tensor

from ..geometry import MaskIoUTarget
from .detected_masks import (
    DetectedMasks,
    DetectionSampler,
    detection_target,
    evaluating,
)
from .ground_truth_masks import prepare_masks


@TASK_UTILS.register_module()
class DetectorSampler(DetectionSampler):
    """Detects in the training images as at test, with a whole detector in eval mode.

    Arguments and targets are those of `DetectionSampler`. Nothing but the MaskIoU head learns from
    the samples. Beside the host's own training, a step takes one more prediction of its images.
    """

    @torch.no_grad()
    def __call__(  # type: ignore[override]
        self, detector: Any, batch_inputs: Tensor, batch_data_samples: SampleList
    ) -> DetectedMasks:
        """Detects in a batch, given the arguments of the detector's ``loss``.

        Args:
            detector: with mask scoring.
            batch_inputs: (B, 3, H, W).
            batch_data_samples: with ``gt_instances`` that have masks. They stay as they are.
        """
        truths = [_truth(sample) for sample in batch_data_samples]
        prepare_masks([truth.gt_instances for truth in truths], batch_inputs.device)
        with evaluating(detector):
            found = detector.detect(batch_inputs, [_in_input_frame(s) for s in truths])
        drawn = [
            self._draw(
                InstanceData(
                    index=torch.arange(len(boxes), device=boxes.device),
                    scores=sample.pred_instances.scores,
                    labels=sample.pred_instances.labels.long(),
                    boxes=boxes,
                    mask_probs=looks.mask_probs,
                )
            )
            for sample, boxes, looks in zip(found.samples, found.boxes, found.looks)
        ]
        targets = [
            self._target_of(sample.pred_instances, instances, truth)
            for sample, instances, truth in zip(found.samples, drawn, truths)
        ]
        return DetectedMasks(
            detector.roi_feats(found.levels, [instances.boxes for instances in drawn]),
            torch.cat([instances.mask_probs for instances in drawn]),
            torch.cat([instances.labels for instances in drawn]),
            MaskIoUTarget(*(torch.cat(parts) for parts in zip(*targets))),
        )

    def _target_of(
        self, results: InstanceData, drawn: InstanceData, truth: DetDataSample
    ) -> MaskIoUTarget:
        """Computes the target of an image's drawn detections."""
        if not len(drawn.labels):
            none = drawn.scores.new_zeros(0)
            return MaskIoUTarget(none, none.bool())
        masks, gts = results.masks[drawn.index], truth.gt_instances.masks
        # The ground truth is padded as the batch is.
        padding = (0, gts.width - masks.size(2), 0, gts.height - masks.size(1))
        return detection_target(F.pad(masks, padding), drawn.labels, truth)


def _truth(sample: DetDataSample) -> DetDataSample:
    """Copies what targets are computed from; the host's loss sees its own masks."""
    gts = sample.gt_instances
    if 'masks' not in gts:
        raise ValueError(
            'the ground truth has no masks to learn their IoU from: load them with '
            "dict(type='LoadAnnotations', with_bbox=True, with_mask=True)."
        )
    copy = DetDataSample(metainfo=sample.metainfo)
    copy.gt_instances = InstanceData(masks=gts.masks, labels=gts.labels)
    if 'ignored_instances' in sample:
        copy.ignored_instances = sample.ignored_instances
    return copy


def _in_input_frame(truth: DetDataSample) -> DetDataSample:
    """Makes the metadata with which every host gives masks of the input image's size."""
    frame = dict(ori_shape=truth.img_shape[:2], scale_factor=(1.0, 1.0))
    return DetDataSample(metainfo={**truth.metainfo, **frame})
