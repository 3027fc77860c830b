"""Detections with the paper's target."""

import torch
from mmdet.registry import TASK_UTILS
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ...geometry import MaskIoUTarget, mask_iou_target
from ..detected_masks import DetectionSampler, best_truth, is_evaluated


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
        exact, truth = best_truth(masks, labels, sample.gt_instances)
        found = truth >= 0
        ground_truth = sample.gt_instances.masks.ground_truth(
            results.bboxes[found], truth[found], tuple(mask_probs.shape[1:])
        )
        on_grid = mask_iou_target(mask_probs[found], ground_truth)
        iou, valid = torch.zeros_like(exact), is_evaluated(exact, masks, labels, sample)
        iou[found] = on_grid.iou
        valid[found] &= on_grid.valid
        return MaskIoUTarget(iou, valid)
