"""MaskIoU heads that see, compute or learn something else than ``MSMaskIoUHead``."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from mmcv.cnn import DepthwiseSeparableConvModule
from mmdet.registry import MODELS
from mmengine.model import ModuleList, kaiming_init
from torch import Tensor, nn

from msrcnn_plugin.geometry import MaskIoUTarget, RoIGroundTruth, mask_iou_target
from msrcnn_plugin.models import MSMaskIoUHead

LOGIT_CUT = torch.tensor(0.5).sigmoid().item()  # a probability, 0.62
SIDE = 2  # cells of the mask along a cell of the feature


@MODELS.register_module()
class FeatureOnlyMaskIoUHead(MSMaskIoUHead):
    """`MSMaskIoUHead` that sees the RoI feature and no mask."""

    def fuse(self, roi_feats: Tensor, mask_probs: Tensor) -> Tensor:
        """Gives the feature."""
        return roi_feats


@MODELS.register_module()
class MaskOnlyMaskIoUHead(MSMaskIoUHead):
    """`MSMaskIoUHead` that sees the pooled mask and no RoI feature (authors' issue #10)."""

    def fuse(self, roi_feats: Tensor, mask_probs: Tensor) -> Tensor:
        """Gives the mask (R, 1, S, S)."""
        return self.pool(mask_probs).to(roi_feats.dtype)


@MODELS.register_module()
class MultipliedMaskIoUHead(MSMaskIoUHead):
    """`MSMaskIoUHead` that sees the RoI feature times the pooled mask: the paper's input (b)."""

    def fuse(self, roi_feats: Tensor, mask_probs: Tensor) -> Tensor:
        """Gives the product (R, C, S, S)."""
        return roi_feats * self.pool(mask_probs).to(roi_feats.dtype)


@MODELS.register_module()
class SubPixelMaskIoUHead(MSMaskIoUHead):
    """`MSMaskIoUHead` that sees the mask as four channels, one for each quarter of a cell.

    A mask of 28 x 28 beside a feature of 14 x 14 loses nothing, also not along its outline. A mask
    of another size is max-pooled to twice the feature's first. It is the paper's input (a) without
    its max-pool.
    """

    def fuse(self, roi_feats: Tensor, mask_probs: Tensor) -> Tensor:
        """Concatenates the feature and the quarters: (R, C + 4, S, S)."""
        return torch.cat([roi_feats, self.quarters(mask_probs).to(roi_feats.dtype)], 1)

    def quarters(self, mask_probs: Tensor) -> Tensor:
        """Splits masks (R, M, M) into quarters of cells (R, 4, S, S), channels last."""
        fine = F.adaptive_max_pool2d(mask_probs, [SIDE * side for side in self.roi_feat_size])
        # What F.pixel_unshuffle gives, but for no RoI (pytorch/pytorch#192816).
        return fine.unfold(1, SIDE, SIDE).unfold(2, SIDE, SIDE).flatten(3).movedim(3, 1)


@MODELS.register_module()
class DepthwiseMaskIoUHead(MSMaskIoUHead):
    """`MSMaskIoUHead` with depthwise separable convolutions: a ninth of their cost.

    They are 3 x 3 in each channel, then 1 x 1 across channels.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # mmengine's list, so that a layer can have init_weights of its own.
        self.convs = ModuleList([_SeparableConv.like(conv) for conv in self.convs])


class _SeparableConv(DepthwiseSeparableConvModule):
    @classmethod
    def like(cls, conv: nn.Conv2d) -> _SeparableConv:
        sizes = conv.in_channels, conv.out_channels, conv.kernel_size
        # Without activations: the head's follows.
        return cls(*sizes, stride=conv.stride, padding=conv.padding, act_cfg=None)

    def init_weights(self) -> None:
        """Initialises after the head's init_cfg, but before weights that it may name."""
        # A channel has 9 inputs. Kaiming's usual count, of outputs, takes them for 9 times the
        # channels, and nothing would be left of a feature after four convolutions.
        kaiming_init(self.depthwise_conv.conv, mode='fan_in', nonlinearity='linear')


@MODELS.register_module()
class PooledMaskIoUHead(MSMaskIoUHead):
    """`MSMaskIoUHead` whose fully connected layers see the mean over the feature's cells.

    The paper's see each cell: 256 channels of 7 x 7 are 12544 inputs of the first of them, three
    quarters of the head's parameters.
    """

    def flatten(self, x: Tensor) -> Tensor:
        """Averages over the cells: (R, channels)."""
        return x.mean((2, 3))


@MODELS.register_module()
class LogitCutMaskIoUHead(MSMaskIoUHead):
    """`MSMaskIoUHead` that learns the IoU of masks whose *logit* is cut at 0.5, as mmdet's does.

    Such a mask is smaller than the final mask, which is cut at probability 0.5. It is for the mask
    head's positives: a ``mask_iou_sampler`` has its own targets, of final masks.
    """

    def target(self, mask_probs: Tensor, ground_truth: RoIGroundTruth) -> MaskIoUTarget:
        """Computes the parent's target, of smaller masks."""
        return mask_iou_target(mask_probs, ground_truth, LOGIT_CUT)


@MODELS.register_module()
class AllClassesMaskIoUHead(MSMaskIoUHead):
    """`MSMaskIoUHead` that learns the IoU for each class, not for the target class alone.

    Its targets are those of `AllClassesSampler` or `PresentClassesSampler`.
    """

    def loss(self, mask_ious: Tensor, labels: Tensor, target: MaskIoUTarget) -> dict[str, Tensor]:
        """Computes the loss over all valid pairs of a RoI and a class.

        Args:
            mask_ious: (R, K) from :meth:`forward`.
            labels: (R,) long.
            target: ``iou`` and ``valid`` (R, K).
        """
        if target.iou.shape != mask_ious.shape:
            raise ValueError(
                f'AllClassesMaskIoUHead predicts {tuple(mask_ious.shape)} (RoIs, classes), its '
                f'target is {tuple(target.iou.shape)}. Give the RoI head mask_iou_sampler='
                "dict(type='AllClassesSampler'), and the MaskIoU head no class_agnostic=True."
            )
        pairs = MaskIoUTarget(*(tensor.flatten() for tensor in target))
        return super().loss(mask_ious.reshape(-1, 1), labels, pairs)
