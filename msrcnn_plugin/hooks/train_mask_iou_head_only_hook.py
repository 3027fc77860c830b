"""Adds the mask score to a model that is already trained."""

from __future__ import annotations

import re
from collections.abc import Collection
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from torch import nn

from .mask_iou_heads import HEAD_NAME, find_mask_iou_heads

SHOWN = 5  # names in an error


@HOOKS.register_module()
class TrainMaskIoUHeadOnlyHook(Hook):
    """Trains the MaskIoU head alone on a trained Mask R-CNN, or any other host.

    Every other weight stays as it was loaded. All else runs in eval mode and without gradient. The
    host's losses are left out. The optimizer holds the head's parameters alone. Start from a
    checkpoint, ``load_from='mask_rcnn.pth'``. What is saved is an ordinary checkpoint of the whole
    model.

    Raises:
        ValueError: before the first step, if no checkpoint is loaded, or weights outside the
            MaskIoU head are missing from it or do not fit.
    """

    # Where the runner trains; None where it validates or tests.
    _model: Any = None
    _loaded = False

    def before_run(self, runner: Any) -> None:
        # Not in before_train: a resumed optimizer is loaded in between and must find the same
        # groups.
        if not hasattr(runner.optim_wrapper, 'param_groups'):
            return  # The runner validates or tests.
        if runner._load_from is None and not runner._resume:
            raise ValueError(
                'TrainMaskIoUHeadOnlyHook trains the MaskIoU head on a trained model, but none is '
                "given: add load_from='mask_rcnn.pth' to the config, or to --cfg-options."
            )
        wrapped = is_model_wrapper(runner.model)
        model = runner.model.module if wrapped else runner.model
        self._heads = find_mask_iou_heads(model)
        # A detector without RoI heads scores its masks itself.
        self._scoring = model if hasattr(model, 'only_mask_iou_loss') else model.roi_head
        if not hasattr(self._scoring, 'only_mask_iou_loss'):
            raise ValueError(
                f'TrainMaskIoUHeadOnlyHook needs a RoI head of msrcnn_plugin, the model has '
                f"{type(model.roi_head).__name__}: use roi_head=dict(type='MSRoIHead', ...)."
            )
        self._model = model
        _freeze_all_but(self._heads, model)
        if wrapped:
            # It was wrapped with every parameter and would wait for gradients that never come.
            runner.model = runner.wrap_model(runner.cfg.get('model_wrapper_cfg'), model)
        _keep_trainable(runner.optim_wrapper)

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        if self._model is not None:
            _require_trained_host(self._model, checkpoint)
            self._loaded = True

    def before_train(self, runner: Any) -> None:
        if self._model is None or not self._loaded:
            raise ValueError(
                'TrainMaskIoUHeadOnlyHook trains the MaskIoU head on a trained model, but no '
                f'checkpoint was found to resume in {runner.work_dir}: give load_from as well.'
            )
        self._scoring.only_mask_iou_loss = True
        self._muted_rpn = ExitStack()
        if self._scoring is not self._model and self._model.with_rpn:
            self._muted_rpn.enter_context(
                patch.object(self._model.rpn_head, 'loss_by_feat', _no_loss)
            )

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        # The loop calls model.train() after before_train_epoch; this is the last word before the
        # forward.
        runner.model.eval()
        for head in self._heads:
            head.train()

    def after_train(self, runner: Any) -> None:
        self._scoring.only_mask_iou_loss = False
        self._muted_rpn.close()


def _freeze_all_but(heads: Collection[nn.Module], model: nn.Module) -> None:
    model.requires_grad_(False)
    for head in heads:
        head.requires_grad_(True)


def _no_loss(*args: Any, **kwargs: Any) -> dict:
    return {}


def _keep_trainable(optim_wrapper: Any) -> None:
    """Drops frozen parameters from the optimizer; groups stay, schedulers count on their number."""
    for group in optim_wrapper.param_groups:
        group['params'] = [param for param in group['params'] if param.requires_grad]


def _require_trained_host(model: nn.Module, checkpoint: dict[str, Any]) -> None:
    """Refuses a checkpoint that would leave a weight outside the MaskIoU head untrained."""
    weights = checkpoint.get('state_dict', checkpoint)
    found = {re.sub(r'^module\.', '', name): value for name, value in weights.items()}
    expected = {
        name: tuple(value.shape)
        for name, value in model.state_dict().items()
        # Counters of batch norms are no weights; old files have none.
        if HEAD_NAME not in name.split('.') and not name.endswith('num_batches_tracked')
    }
    missing = [name for name in expected if name not in found]
    unfit = [
        f'{name} {tuple(found[name].shape)} where the model has {shape}'
        for name, shape in expected.items()
        if name in found and tuple(found[name].shape) != shape
    ]
    problems = [
        f'{len(names)} of {len(expected)} {problem} ({_listed(names)})'
        for names, problem in ((missing, 'are missing'), (unfit, 'do not fit'))
        if names
    ]
    if problems:
        raise ValueError(
            'TrainMaskIoUHeadOnlyHook: of the weights outside the MaskIoU head, '
            f'{" and ".join(problems)} in the checkpoint, and would be frozen untrained. Give the '
            'checkpoint of this model, with its number of classes, as load_from.'
        )


def _listed(names: list[str]) -> str:
    more = len(names) - SHOWN
    return ', '.join(names[:SHOWN]) + (f' and {more} more' if more > 0 else '')
