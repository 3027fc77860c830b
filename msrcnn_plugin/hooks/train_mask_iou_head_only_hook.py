"""Adds the mask score to a model that is already trained."""

from typing import Optional

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from torch import nn

from .mask_iou_heads import find_mask_iou_heads


@HOOKS.register_module()
class TrainMaskIoUHeadOnlyHook(Hook):
    """Trains the MaskIoU head alone on a trained Mask R-CNN, or any other host; every other weight
    stays as it was loaded.

    All else runs in eval mode and without gradient; the host's losses are left out; the optimizer
    holds the head's parameters alone. Start from a checkpoint:
    ``load_from='mask_rcnn.pth'``. What is saved is an ordinary checkpoint of the whole model.
    """

    def before_run(self, runner) -> None:
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
        _freeze_all_but(self._heads, model)
        model.rpn_head.loss_by_feat = _no_loss
        model.roi_head.mute_host_losses()
        if wrapped:
            # It was wrapped with every parameter and would wait for gradients that never come.
            runner.model = runner.wrap_model(runner.cfg.get('model_wrapper_cfg'), model)
        _keep_trainable(runner.optim_wrapper)

    def before_train_iter(self, runner, batch_idx: int, data_batch: Optional[dict] = None) -> None:
        # The loop calls model.train() after before_train_epoch; this is the last word before the
        # forward.
        runner.model.eval()
        for head in self._heads:
            head.train()


def _freeze_all_but(heads, model: nn.Module) -> None:
    model.requires_grad_(False)
    for head in heads:
        head.requires_grad_(True)


def _no_loss(*args, **kwargs) -> dict:
    return {}


def _keep_trainable(optim_wrapper) -> None:
    """Drop frozen parameters from the optimizer; groups stay, schedulers count on their number."""
    for group in optim_wrapper.param_groups:
        group['params'] = [param for param in group['params'] if param.requires_grad]
