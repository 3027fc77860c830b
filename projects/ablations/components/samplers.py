"""Samplers of detections with other targets than their exact mask IoU."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmdet.registry import TASK_UTILS
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch import Tensor, nn

from msrcnn_plugin.geometry import MaskIoUTarget, mask_iou_target
from msrcnn_plugin.models import DetectionSampler
from msrcnn_plugin.models.detected_masks import best_ground_truth, detection_target, is_evaluated
from msrcnn_plugin.models.mask_forward import stages


@TASK_UTILS.register_module()
class AllClassesSampler(DetectionSampler):
    """`DetectionSampler` with targets (R, K), for `AllClassesMaskIoUHead`: the paper's target #2.

    The target for a class is the exact IoU of the final mask with the best ground truth of that
    class, 0 for a class that is absent.
    """

    def _target(
        self,
        roi_head: nn.Module,
        results: InstanceData,
        mask_probs: Tensor,
        sample: DetDataSample,
    ) -> MaskIoUTarget:
        num_classes = stages(roi_head.mask_iou_head)[-1].num_classes
        classes = torch.arange(num_classes, device=mask_probs.device)[:, None]
        iou, valid = detection_target(results.masks, classes, sample)
        return MaskIoUTarget(iou.T, valid.T)


@TASK_UTILS.register_module()
class PresentClassesSampler(AllClassesSampler):
    """`AllClassesSampler` without absent classes: the paper's target #3.

    The predicted class is present, and so are the classes of which the mask touches an object.
    """

    def _target(
        self,
        roi_head: nn.Module,
        results: InstanceData,
        mask_probs: Tensor,
        sample: DetDataSample,
    ) -> MaskIoUTarget:
        iou, valid = super()._target(roi_head, results, mask_probs, sample)
        predicted = F.one_hot(results.labels, iou.size(1)).bool()
        return MaskIoUTarget(iou, valid & (predicted | (iou > 0)))


@TASK_UTILS.register_module()
class RoIGridSampler(DetectionSampler):
    """`DetectionSampler` whose target is the IoU on the grid of the mask, as for positives.

    A detection's ground truth is the one of its class that it fits best in the image.
    """

    def _target(
        self,
        roi_head: nn.Module,
        results: InstanceData,
        mask_probs: Tensor,
        sample: DetDataSample,
    ) -> MaskIoUTarget:
        masks, labels = results.masks, results.labels
        exact, gt_inds = best_ground_truth(masks, labels, sample.gt_instances)
        found = gt_inds >= 0
        ground_truth = sample.gt_instances.masks.ground_truth(
            results.bboxes[found], gt_inds[found], tuple(mask_probs.shape[1:])
        )
        on_grid = mask_iou_target(mask_probs[found], ground_truth)
        iou, valid = torch.zeros_like(exact), is_evaluated(exact, masks, labels, sample)
        iou[found] = on_grid.iou
        valid[found] &= on_grid.valid
        return MaskIoUTarget(iou, valid)
