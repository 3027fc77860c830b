"""Detections with an IoU for every class (the paper's ablation of training targets)."""

import torch
import torch.nn.functional as F
from mmdet.registry import TASK_UTILS
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ...geometry import MaskIoUTarget
from ..detected_masks import DetectionSampler, detection_target
from ..mask_forward import stages


@TASK_UTILS.register_module()
class AllClassesSampler(DetectionSampler):
    """`DetectionSampler` with targets (R, K), for `AllClassesMaskIoUHead`.

    The target for a class is the exact IoU of the emitted mask with the best ground truth of that
    class, 0 for a class that is not there: the paper's target #2.
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
    """`AllClassesSampler` without the classes that are not there: the paper's target #3.

    There are the predicted class, and those of which the mask touches an object.
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
