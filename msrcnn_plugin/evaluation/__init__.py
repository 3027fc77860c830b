"""What the score of a mask is worth: rankings, error and calibration of the predicted IoU.

Nothing here needs torch or mmdet but `MaskScoringMetric`, which is imported when it is asked for.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from .bootstrap import BootstrapGain, bootstrap_gain
from .calibration_fit import IoUCalibration, fit_iou_calibration, held_out_calibration
from .cityscapes import cityscapes_ap, cityscapes_ground_truth
from .coco import evaluate_coco, match_coco
from .detection_errors import OptimalLRP, localisation_aware_ece, optimal_lrp
from .matches import Matches, Protocol
from .matching import pairwise_rle_iou
from .rankings import RankedAP
from .reliability import (
    IoUError,
    JointDensity,
    ReliabilityCurve,
    expected_calibration_error,
    iou_error,
    joint_density,
    reliability_curve,
)
from .result import MaskScoringResult, ScopeFigures, ScoreQuality
from .threshold import ScoreThreshold, find_threshold

if TYPE_CHECKING:
    from .mask_scoring_metric import MaskScoringMetric
    from .rescorer import Rescorer

__all__ = [
    'BootstrapGain',
    'IoUCalibration',
    'IoUError',
    'JointDensity',
    'MaskScoringMetric',
    'MaskScoringResult',
    'Matches',
    'OptimalLRP',
    'Protocol',
    'RankedAP',
    'ReliabilityCurve',
    'Rescorer',
    'ScopeFigures',
    'ScoreQuality',
    'ScoreThreshold',
    'bootstrap_gain',
    'cityscapes_ap',
    'cityscapes_ground_truth',
    'evaluate_coco',
    'expected_calibration_error',
    'find_threshold',
    'fit_iou_calibration',
    'held_out_calibration',
    'iou_error',
    'joint_density',
    'localisation_aware_ece',
    'match_coco',
    'optimal_lrp',
    'pairwise_rle_iou',
    'reliability_curve',
]
_RENAMED = {'MaskScoringPairs': 'Matches', 'pairwise_mask_iou': 'pairwise_rle_iou'}


def __getattr__(name: str) -> Any:
    """`MaskScoringMetric`, which needs mmdet, `Rescorer`, and former names, for one version."""
    if name == 'MaskScoringMetric':
        from .mask_scoring_metric import MaskScoringMetric

        return MaskScoringMetric
    if name == 'Rescorer':
        try:
            from .rescorer import Rescorer
        except ModuleNotFoundError as error:
            raise ImportError(
                f'rescoring needs LightGBM and scikit-learn ({error}): '
                "pip install 'msrcnn_plugin[rescore]'"
            ) from error
        return Rescorer
    if name in _RENAMED:
        warnings.warn(
            f'msrcnn_plugin.evaluation.{name} is now {_RENAMED[name]}',
            DeprecationWarning,
            stacklevel=2,
        )
        return globals()[_RENAMED[name]]
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
