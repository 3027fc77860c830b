"""Training of a part of a model whose other weights stay."""

from __future__ import annotations

from typing import Any

from mmdet.registry import MODELS
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS


@HOOKS.register_module()
class TrainMaskHeadAnewHook(Hook):
    """Trains the mask head alone, from its initial weights, on a trained Mask R-CNN.

    Every other weight stays as it was loaded, so mask heads of one trunk get the same boxes and
    features. Start from a checkpoint, ``load_from='mask_rcnn.pth'``; its mask head is not used.
    """

    def before_train(self, runner: Any) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        self._mask_head = model.roi_head.mask_head
        # An optimizer passes over parameters without a gradient.
        model.requires_grad_(False)
        self._mask_head.requires_grad_(True)
        if runner.iter == 0:  # not resumed
            anew = MODELS.build(runner.cfg.model.roi_head.mask_head)
            anew.init_weights()
            self._mask_head.load_state_dict(anew.state_dict())

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        # The loop calls model.train() after before_train_epoch.
        runner.model.eval()
        self._mask_head.train()
