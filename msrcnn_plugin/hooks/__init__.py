"""Hooks of the runner. They know the MaskIoU head only by its name in the model."""

from .mask_iou_loss_warmup_hook import MaskIoULossWarmupHook
from .mask_iou_monitor_hook import MaskIoUMonitorHook
from .prediction_cost_hook import PredictionCostHook
from .train_mask_iou_head_only_hook import TrainMaskIoUHeadOnlyHook

__all__ = [
    'MaskIoULossWarmupHook',
    'MaskIoUMonitorHook',
    'PredictionCostHook',
    'TrainMaskIoUHeadOnlyHook',
]
