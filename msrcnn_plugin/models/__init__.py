"""The MaskIoU head, and mmdet's RoI heads that use it."""

from .detectron_anchors import DetectronAnchorGenerator
from .mask_iou_head import MSMaskIoUHead
from .mask_scoring import MaskScoringMixin
from .roi_heads import MSCascadeRoIHead, MSHTCRoIHead, MSRoIHead

__all__ = [
    'DetectronAnchorGenerator',
    'MSCascadeRoIHead',
    'MSHTCRoIHead',
    'MSMaskIoUHead',
    'MSRoIHead',
    'MaskScoringMixin',
]
