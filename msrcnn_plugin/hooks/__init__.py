"""Hooks of the runner. They know the MaskIoU head only by its name in the model."""

from .data_root_hook import DataRootHook
from .mask_iou_loss_warmup_hook import MaskIoULossWarmupHook
from .mask_iou_monitor_hook import MaskIoUMonitorHook
from .train_mask_iou_head_only_hook import TrainMaskIoUHeadOnlyHook

__all__ = [
    'DataRootHook',
    'MaskIoULossWarmupHook',
    'MaskIoUMonitorHook',
    'TrainMaskIoUHeadOnlyHook',
]
