"""Ramps up the MaskIoU loss, so that masks are meaningful before their IoU is learned."""

from __future__ import annotations

from typing import Any

from mmdet.registry import HOOKS
from mmengine.hooks import Hook

from .mask_iou_heads import find_mask_iou_heads


@HOOKS.register_module()
class MaskIoULossWarmupHook(Hook):
    """Raises the weight of the MaskIoU loss linearly, from ``start_factor`` of it to all of it.

    The weight depends on the iteration alone, so a resumed run continues where it stopped.

    Args:
        length: iterations, or epochs where ``by_epoch``, until the full weight is reached.
        start_factor: in [0, 1], share of the weight at the first iteration.
        by_epoch: change the weight between epochs only.
    """

    def __init__(self, length: int, start_factor: float = 0.0, by_epoch: bool = False) -> None:
        if length < 1:
            raise ValueError(
                f'length={length}; give the number of iterations or epochs, 1 or more.'
            )
        if not 0 <= start_factor <= 1:
            raise ValueError(f'start_factor={start_factor}; give a share of the weight, in [0, 1].')
        self.length = length
        self.start_factor = start_factor
        self.by_epoch = by_epoch

    def before_train(self, runner: Any) -> None:
        self._losses = [head.loss_iou for head in find_mask_iou_heads(runner.model)]
        without = [type(loss).__name__ for loss in self._losses if not hasattr(loss, 'loss_weight')]
        if without:
            raise ValueError(
                f'{without[0]} has no loss_weight to warm up. Use a loss of mmdet, '
                'or remove the hook.'
            )
        self._weights = [loss.loss_weight for loss in self._losses]

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        done = (runner.epoch if self.by_epoch else runner.iter) / self.length
        factor = min(1.0, self.start_factor + (1 - self.start_factor) * done)
        for loss, weight in zip(self._losses, self._weights):
            loss.loss_weight = weight * factor

    def after_train(self, runner: Any) -> None:
        for loss, weight in zip(self._losses, self._weights):
            loss.loss_weight = weight
