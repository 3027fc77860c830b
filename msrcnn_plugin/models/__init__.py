"""The MaskIoU head, and mmdet's RoI heads with mask scoring."""

from .. import checked_host  # noqa: F401  (before anything that needs mmdet)
from .cascades import MSCascadeRoIHead, MSHTCRoIHead, MSSCNetRoIHead
from .detected_masks import DetectionSampler
from .mask_iou_calibration import MaskIoUCalibration, calibrated_checkpoint
from .mask_iou_head import MSMaskIoUHead
from .mask_rank_head import MSMaskRankHead
from .mask_scoring import MaskScoringMixin
from .point_rend import MSPointRendRoIHead
from .rank_inputs import RankInputs, rank_inputs
from .replayed_masks import ReplaySampler
from .roi_heads import MSDoubleHeadRoIHead, MSDynamicRoIHead, MSPISARoIHead, MSRoIHead

__all__ = [
    'DetectionSampler',
    'MSCascadeRoIHead',
    'MSDoubleHeadRoIHead',
    'MSDynamicRoIHead',
    'MSHTCRoIHead',
    'MSMaskIoUHead',
    'MSMaskRankHead',
    'MSPISARoIHead',
    'MSPointRendRoIHead',
    'MSRoIHead',
    'MSSCNetRoIHead',
    'MaskIoUCalibration',
    'MaskScoringMixin',
    'RankInputs',
    'ReplaySampler',
    'calibrated_checkpoint',
    'rank_inputs',
]
