"""What a MaskIoU head is shown."""

from contextlib import contextmanager

import torch
from mmengine.config import Config

from ..hosts import build, tiny_host_cfg


def roi_head_model(name, **roi_head):
    """Mask R-CNN with the RoI head of this name."""
    cfg = Config(dict(model=tiny_host_cfg('ms_rcnn_r50_fpn')))
    cfg.merge_from_dict(dict(model=dict(roi_head=dict(type=name, **roi_head))))
    return build(cfg.model)


@contextmanager
def shown(model):
    """Collect the inputs of each call of the model's MaskIoU head."""
    calls = []
    handle = model.roi_head.mask_iou_head.register_forward_pre_hook(
        lambda _, inputs: calls.append(inputs)
    )
    yield calls
    handle.remove()


def raw_outputs(model, batch):
    """The RoI head's, without post-processing."""
    images, samples = batch
    with torch.no_grad():
        return model.eval()(images, samples, mode='tensor')[-1]
