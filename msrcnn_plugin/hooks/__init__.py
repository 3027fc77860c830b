"""Hooks of the runner; they know the MaskIoU head by its name in the model alone."""

from .mask_iou_loss_warmup_hook import MaskIoULossWarmupHook
from .mask_iou_monitor_hook import MaskIoUMonitorHook

__all__ = ['MaskIoULossWarmupHook', 'MaskIoUMonitorHook']
