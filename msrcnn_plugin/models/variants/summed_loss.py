"""Several losses of the same prediction."""

from collections.abc import Sequence

from mmdet.registry import MODELS
from mmdet.utils import ConfigType
from torch import Tensor, nn


@MODELS.register_module()
class SummedLoss(nn.Module):
    """The sum of several registered losses, each with a ``loss_weight`` of its own.

    Args:
        losses: configs; all of losses of an IoU, or all of losses of its logit (``use_sigmoid``).
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
                f'SummedLoss of {names}: give one or more losses that take the same prediction, '
                'all the IoU or all its logit (use_sigmoid).'
            )
        (self.use_sigmoid,) = kinds

    def forward(self, pred: Tensor, target: Tensor, **kwargs) -> Tensor:
        """As each of the losses is called: ``pred`` and ``target`` (R,)."""
        return self.loss_weight * sum(loss(pred, target, **kwargs) for loss in self.losses)
