"""The MaskIoU head, and mmdet's RoI heads that use it."""

from .mask_iou_calibration import MaskIoUCalibration, calibrated_checkpoint
from .mask_iou_head import MSMaskIoUHead
from .mask_scoring import MaskScoringMixin
from .roi_heads import MSCascadeRoIHead, MSHTCRoIHead, MSRoIHead

__all__ = [
    'MSCascadeRoIHead',
    'MSHTCRoIHead',
    'MSMaskIoUHead',
    'MSRoIHead',
    'MaskIoUCalibration',
    'MaskScoringMixin',
    'calibrated_checkpoint',
]
