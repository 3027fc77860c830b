"""The MaskIoU head, and mmdet's RoI heads and detectors with mask scoring."""

from .. import checked_host  # noqa: F401  (before anything that needs mmdet)
from .cascades import MSCascadeRoIHead, MSHTCRoIHead, MSSCNetRoIHead
from .detected_masks import DetectionSampler
from .detector_samples import DetectorSampler
from .detector_scoring import DetectorMaskScoringMixin
from .detectors import (
    MSSOLO,
    MSYOLACT,
    MSBoxInst,
    MSCondInst,
    MSMask2Former,
    MSMaskFormer,
    MSQueryInst,
    MSRTMDet,
    MSSOLOv2,
)
from .mask_iou_calibration import MaskIoUCalibration, calibrated_checkpoint
from .mask_iou_head import MSMaskIoUHead
from .mask_rank_head import MSMaskRankHead
from .mask_scoring import MaskScoringMixin
from .mask_tta import MSTTAModel
from .point_rend import MSPointRendRoIHead
from .rank_inputs import RankInputs, rank_inputs
from .replayed_masks import ReplaySampler
from .roi_heads import MSDoubleHeadRoIHead, MSDynamicRoIHead, MSPISARoIHead, MSRoIHead
from .summed_losses import SummedLoss, SummedMaskLoss

__all__ = [
    'MSSOLO',
    'MSYOLACT',
    'DetectionSampler',
    'DetectorMaskScoringMixin',
    'DetectorSampler',
    'MSBoxInst',
    'MSCascadeRoIHead',
    'MSCondInst',
    'MSDoubleHeadRoIHead',
    'MSDynamicRoIHead',
    'MSHTCRoIHead',
    'MSMask2Former',
    'MSMaskFormer',
    'MSMaskIoUHead',
    'MSMaskRankHead',
    'MSPISARoIHead',
    'MSPointRendRoIHead',
    'MSQueryInst',
    'MSRTMDet',
    'MSRoIHead',
    'MSSCNetRoIHead',
    'MSSOLOv2',
    'MSTTAModel',
    'MaskIoUCalibration',
    'MaskScoringMixin',
    'RankInputs',
    'ReplaySampler',
    'SummedLoss',
    'SummedMaskLoss',
    'calibrated_checkpoint',
    'rank_inputs',
]
