"""What configs/ablations compares the MaskIoU head and its recipe with, each a component."""

from .above_iou_loss import AboveIoULoss
from .all_classes_head import AllClassesMaskIoUHead
from .all_masks_roi_head import MSAllMasksRoIHead
from .classes_samplers import AllClassesSampler, PresentClassesSampler
from .depthwise_head import DepthwiseMaskIoUHead
from .feature_only_head import FeatureOnlyMaskIoUHead
from .fine_feature_roi_head import MSFineFeatureRoIHead
from .logit_cut_head import LogitCutMaskIoUHead
from .mask_only_head import MaskOnlyMaskIoUHead
from .multiplied_head import MultipliedMaskIoUHead
from .pairwise_ranking_loss import PairwiseRankingLoss
from .pooled_head import PooledMaskIoUHead
from .roi_grid_sampler import RoIGridSampler
from .score_power_roi_head import MSScorePowerRoIHead
from .sigmoid_mse_loss import SigmoidMSELoss
from .sub_pixel_head import SubPixelMaskIoUHead
from .summed_loss import SummedLoss

__all__ = [
    'AboveIoULoss',
    'AllClassesMaskIoUHead',
    'AllClassesSampler',
    'DepthwiseMaskIoUHead',
    'FeatureOnlyMaskIoUHead',
    'LogitCutMaskIoUHead',
    'MSAllMasksRoIHead',
    'MSFineFeatureRoIHead',
    'MSScorePowerRoIHead',
    'MaskOnlyMaskIoUHead',
    'MultipliedMaskIoUHead',
    'PairwiseRankingLoss',
    'PooledMaskIoUHead',
    'PresentClassesSampler',
    'RoIGridSampler',
    'SigmoidMSELoss',
    'SubPixelMaskIoUHead',
    'SummedLoss',
]
