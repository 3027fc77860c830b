"""The MaskIoU heads of a model, found by name."""

from __future__ import annotations

from typing import Any

from mmengine.model import is_model_wrapper
from torch import nn

HEAD_NAME = 'mask_iou_head'


def find_mask_iou_heads(model: Any) -> list[Any]:
    """Finds the MaskIoU heads of ``model``, wrapped for several processes or not.

    There is one, or one for each stage of a cascade.

    Raises:
        ValueError: if it has none.
    """
    model = model.module if is_model_wrapper(model) else model
    named = [module for name, module in model.named_modules() if name.split('.')[-1] == HEAD_NAME]
    heads = [
        head
        for module in named
        for head in (module if isinstance(module, nn.ModuleList) else [module])
    ]
    if not heads:
        raise ValueError(
            f'{type(model).__name__} has no {HEAD_NAME}. Remove the hook from custom_hooks, or '
            "give the model a RoI head with mask scoring, as roi_head=dict(type='MSRoIHead', ...)."
        )
    return heads
