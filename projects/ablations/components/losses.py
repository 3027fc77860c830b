"""Losses of the predicted IoU (R,), each a registered loss for ``MSMaskIoUHead(loss_iou=...)``."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from mmdet.models.losses import MSELoss
from mmdet.registry import MODELS
from mmdet.utils import ConfigType
from torch import Tensor, nn


@MODELS.register_module()
class AboveIoULoss(nn.Module):
    """A loss of the samples whose target lies above ``min_iou``; the others do not count.

    It is the paper's ablation of samples with MaskIoU > τ. `MaskIoUMonitorHook` sees the input of
    this loss, and so counts the others, too.

    Args:
        min_iou: the paper's τ, in [0, 1).
        loss: config of the loss.
        loss_weight: factor.
    """

    def __init__(self, *, min_iou: float, loss: ConfigType, loss_weight: float = 1.0) -> None:
        super().__init__()
        if not 0 <= min_iou < 1:
            raise ValueError(f'AboveIoULoss: min_iou={min_iou}; give an IoU in [0, 1).')
        self.min_iou = min_iou
        self.loss_weight = loss_weight
        self.loss = MODELS.build(loss)
        self.use_sigmoid = getattr(self.loss, 'use_sigmoid', False)

    def forward(
        self,
        pred: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        avg_factor: Tensor | None = None,
    ) -> Tensor:
        """Averages the loss over the samples that are left.

        Args:
            pred: (R,) IoU, or its logit where ``use_sigmoid``.
            target: (R,) IoU.
            weight: (R,), 1 by default.
            avg_factor: of all samples; replaced by the sum of the weights of those left.
        """
        weight = torch.ones_like(target) if weight is None else weight
        weight = weight * (target > self.min_iou)
        # At least 1, as where all samples count: none left is a loss of 0.
        avg_factor = weight.sum().clamp(min=1)
        return self.loss_weight * self.loss(pred, target, weight=weight, avg_factor=avg_factor)


@MODELS.register_module()
class SigmoidMSELoss(MSELoss):
    """mmdet's ``MSELoss`` of the sigmoid of the prediction: the IoU cannot leave (0, 1)."""

    use_sigmoid = True

    def forward(self, pred: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Computes the parent's loss of logits ``pred`` (R,)."""
        return super().forward(pred.sigmoid(), *args, **kwargs)


@MODELS.register_module()
class PairwiseRankingLoss(nn.Module):
    """Logistic loss of pairs of samples (RankNet, Burges et al., ICML 2005).

    It is the mean over all pairs of the batch with targets t_i > t_j of log(1 + exp(p_j - p_i)). A
    pair weighs the product of its samples' weights. The prediction is a logit that only its order
    determines; added to another loss (`SummedLoss`) it stays an IoU. Time and memory grow with R².

    Args:
        min_difference: pairs whose targets differ by no more than this are left out, from 0.
        loss_weight: factor.
    """

    use_sigmoid = True

    def __init__(self, *, min_difference: float = 0.0, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.min_difference = min_difference
        self.loss_weight = loss_weight

    def forward(
        self,
        pred: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        avg_factor: Tensor | None = None,
    ) -> Tensor:
        """Computes the loss, a scalar; 0 without a pair.

        Args:
            pred: (R,) logits.
            target: (R,) IoU.
            weight: (R,), 0 for samples in no pair; 1 by default.
            avg_factor: a number of samples, which a mean over pairs does not use.
        """
        weight = torch.ones_like(target) if weight is None else weight
        pairs = (target[:, None] - target > self.min_difference) * weight[:, None] * weight
        losses = pairs * F.softplus(pred - pred[:, None])
        return self.loss_weight * losses.sum() / pairs.sum().clamp(min=torch.finfo(pairs.dtype).eps)
