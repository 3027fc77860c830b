"""What configs/ablations compares the MaskIoU head and its recipe with, each a component."""

from .above_iou_loss import AboveIoULoss
from .depthwise_head import DepthwiseMaskIoUHead
from .mask_only_head import MaskOnlyMaskIoUHead
from .multiplied_head import MultipliedMaskIoUHead
from .pairwise_ranking_loss import PairwiseRankingLoss
from .pooled_head import PooledMaskIoUHead
from .sigmoid_mse_loss import SigmoidMSELoss
from .summed_loss import SummedLoss

__all__ = [
    'AboveIoULoss',
    'DepthwiseMaskIoUHead',
    'MaskOnlyMaskIoUHead',
    'MultipliedMaskIoUHead',
    'PairwiseRankingLoss',
    'PooledMaskIoUHead',
    'SigmoidMSELoss',
    'SummedLoss',
]
