"""Sums of the host's losses, for a head whose config names one loss.

Shapes: ``R`` RoIs, ``K`` classes (1 where class-agnostic), ``M`` side of a mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.registry import MODELS
from mmdet.utils import ConfigType
from torch import Tensor, nn

from ..geometry import gather_by_label


@MODELS.register_module()
class SummedLoss(nn.Module):
    """The sum of several registered losses, each with a ``loss_weight`` of its own.

    Args:
        losses: configs; all of losses of a value, or all of losses of its logit (``use_sigmoid``).
        loss_weight: factor of the sum.
    """

    def __init__(self, *, losses: Sequence[ConfigType], loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.losses = nn.ModuleList([MODELS.build(cfg) for cfg in losses])
        kinds = {getattr(loss, 'use_sigmoid', False) for loss in self.losses}
        if len(kinds) != 1:
            names = ', '.join(type(loss).__name__ for loss in self.losses) or 'no loss'
            raise ValueError(
                f'{type(self).__name__} of {names}: give one or more losses that take the same '
                'prediction, all the value or all its logit (use_sigmoid).'
            )
        (self.use_sigmoid,) = kinds

    def forward(self, pred: Tensor, target: Tensor, **kwargs: Any) -> Tensor:
        """Sums the losses of ``pred`` and ``target``, of any one shape that they take."""
        found = [loss(pred, target, **kwargs) for loss in self.losses]
        return self.loss_weight * torch.stack(found).sum()


@MODELS.register_module()
class SummedMaskLoss(nn.Module):
    """The sum of registered losses of masks, as ``loss_mask`` of mmdet's ``FCNMaskHead``.

    Each loss sees the mask of the target class as a row of pixels. ``CrossEntropyLoss`` and
    ``FocalLoss`` average over all pixels, ``DiceLoss`` over the RoIs::

        mask_head=dict(loss_mask=dict(_delete_=True, type='SummedMaskLoss', losses=[
            dict(type='CrossEntropyLoss', use_sigmoid=True), dict(type='DiceLoss')]))

    Args:
        losses: configs of losses of logits (``use_sigmoid``).
        loss_weight: factor of the sum.
    """

    def __init__(self, *, losses: Sequence[ConfigType], loss_weight: float = 1.0) -> None:
        super().__init__()
        self.summed = SummedLoss(losses=losses, loss_weight=loss_weight)
        if not self.summed.use_sigmoid:
            names = ', '.join(type(loss).__name__ for loss in self.summed.losses)
            raise ValueError(
                f'SummedMaskLoss of {names}: the mask head predicts logits, and these take none. '
                "Give losses with use_sigmoid, such as dict(type='CrossEntropyLoss', "
                "use_sigmoid=True), without use_mask, or dict(type='DiceLoss')."
            )

    def forward(self, mask_preds: Tensor, mask_targets: Tensor, labels: Tensor) -> Tensor:
        """Computes the loss, a scalar.

        Args:
            mask_preds: (R, K, M, M) logits.
            mask_targets: (R, M, M), 1 on the object and 0 beside it.
            labels: (R,) long, the class of each object.
        """
        logits = gather_by_label(mask_preds, labels).float()
        loss: Tensor = self.summed(logits.flatten(1), mask_targets.flatten(1))
        return loss
