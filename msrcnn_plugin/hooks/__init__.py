"""Hooks of the runner; they know the MaskIoU head by its name in the model alone."""

from .mask_iou_loss_warmup_hook import MaskIoULossWarmupHook
from .mask_iou_monitor_hook import MaskIoUMonitorHook
from .train_mask_iou_head_only_hook import TrainMaskIoUHeadOnlyHook

__all__ = [
    'MaskIoULossWarmupHook',
    'MaskIoUMonitorHook',
    'TrainMaskIoUHeadOnlyHook',
]
