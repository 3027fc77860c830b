"""Figures of the MaskIoU head's training samples and predictions in the training log."""

from __future__ import annotations

from typing import Any

import torch
from mmdet.registry import HOOKS
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from torch import Tensor, nn

from .mask_iou_heads import find_mask_iou_heads


@HOOKS.register_module()
class MaskIoUMonitorHook(Hook):
    """Logs ``train/mask_iou_*`` of the last ``interval`` iterations over all processes.

    - ``positives``: positives an iteration that the loss counted;
    - ``target``, ``prediction``: their mean IoU, true and predicted;
    - ``mae``: mean absolute difference of the two;
    - ``correlation``: Pearson's.

    A figure that is undefined (no positive; no spread) is NaN. They reach every log of the runner:
    console, JSON, TensorBoard. Only sums are kept, so the window's length costs nothing.

    Args:
        interval: iterations; the logger's by default.
    """

    # The logger, BELOW_NORMAL, reads in the same iteration what is written here.
    priority = 'NORMAL'

    def __init__(self, interval: int = 50) -> None:
        if interval < 1:
            raise ValueError(f'interval={interval}; give a number of iterations, 1 or more.')
        self.interval = interval

    def before_train(self, runner: Any) -> None:
        self._sums = _nothing()
        self._iterations = 0
        # The loss module sees just what is learned: prediction, target, and which of them count.
        self._handles = [
            head.loss_iou.register_forward_hook(self._observe, with_kwargs=True)
            for head in find_mask_iou_heads(runner.model)
        ]

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        self._iterations += 1
        if not self.every_n_train_iters(runner, self.interval):
            return
        # All processes take part, also one whose loss was never called.
        all_reduce(self._sums)
        # The first window of a resumed run may be shorter than the others.
        for name, value in summarise(self._sums, self._iterations).items():
            runner.message_hub.update_scalar(f'train/mask_iou_{name}', value)
        self._sums, self._iterations = _nothing(), 0

    def after_train(self, runner: Any) -> None:
        for handle in self._handles:
            handle.remove()

    def _observe(self, loss_iou: nn.Module, inputs: tuple, kwargs: dict, output: Any) -> None:
        prediction, target = (tensor.detach().double() for tensor in inputs[:2])
        if getattr(loss_iou, 'use_sigmoid', False):
            prediction = prediction.sigmoid()
        weight = kwargs.get('weight')
        weight = torch.ones_like(target) if weight is None else weight.detach().double()
        self._sums = self._sums.to(target.device) + sum_pairs(prediction, target, weight)


def _nothing() -> Tensor:
    return torch.zeros(7, dtype=torch.double)


def sum_pairs(prediction: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Computes sums (7,) over pairs (R,), from which :func:`summarise` computes figures."""
    ones = torch.ones_like(target)
    terms = (
        ones,
        target,
        prediction,
        (prediction - target).abs(),
        target * target,
        prediction * prediction,
        prediction * target,
    )
    return (torch.stack(terms) * weight).sum(1)


def summarise(sums: Tensor, iterations: int) -> dict[str, float]:
    """Computes the figures of a window from the sums of its pairs."""
    n, *rest = sums.tolist()
    target, prediction, mae, target_sq, prediction_sq, product = (
        value / n if n else float('nan') for value in rest
    )
    spread = (target_sq - target**2) * (prediction_sq - prediction**2)
    # Below this the spread is rounding error.
    correlation = (product - target * prediction) / spread**0.5 if spread > 1e-15 else float('nan')
    return dict(
        positives=n / iterations,
        target=target,
        prediction=prediction,
        mae=mae,
        correlation=correlation,
    )
