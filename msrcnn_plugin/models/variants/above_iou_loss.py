"""Learning from good masks alone (the paper's ablation of samples with MaskIoU > τ)."""

from typing import Optional

import torch
from mmdet.registry import MODELS
from mmdet.utils import ConfigType
from torch import Tensor, nn


@MODELS.register_module()
class AboveIoULoss(nn.Module):
    """A loss of the samples whose target lies above ``min_iou``; the others count for nothing.

    `MaskIoUMonitorHook`, which looks at what this loss is given, counts the others, too.

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
        weight: Optional[Tensor] = None,
        avg_factor: Optional[Tensor] = None,
    ) -> Tensor:
        """As the loss is called. It is averaged over what is left.

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
