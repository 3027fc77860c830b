"""What the score of a mask is worth: rankings, error and calibration of the predicted MaskIoU."""

from .bootstrap import BootstrapGain, bootstrap_gain
from .calibration import (
    IoUError,
    ReliabilityCurve,
    expected_calibration_error,
    iou_error,
    reliability_curve,
)
from .density import JointDensity, joint_density
from .iou_calibration import IoUCalibration, fit_iou_calibration, held_out_calibration
from .mask_scoring_metric import MaskScoringMetric
from .matching import Overlaps, pairwise_mask_iou, true_mask_iou
from .pairs import MaskScoringPairs
from .ranking_basis import RankingBasis
from .rankings import RankedAP, rank_masks
from .result import MaskScoringResult, ScopeFigures

__all__ = [
    'BootstrapGain',
    'IoUCalibration',
    'IoUError',
    'JointDensity',
    'MaskScoringMetric',
    'MaskScoringPairs',
    'MaskScoringResult',
    'Overlaps',
    'RankedAP',
    'RankingBasis',
    'ReliabilityCurve',
    'ScopeFigures',
    'bootstrap_gain',
    'expected_calibration_error',
    'fit_iou_calibration',
    'held_out_calibration',
    'iou_error',
    'joint_density',
    'pairwise_mask_iou',
    'rank_masks',
    'reliability_curve',
    'true_mask_iou',
]
