"""Narrow models whose random weights detect many different things, and what the host predicts."""

import torch
from mmengine.structures import InstanceData

from msrcnn_plugin.apis.mean_mask_probs import observe_final_masks

from ..conftest import data_sample
from ..models.hosts import build, tiny_host_cfg

# Height and width of images, without their padding, and with it.
SIZES = {
    (96, 128): (96, 128),
    (50, 61): (64, 64),
    (131, 97): (160, 128),
    (33, 255): (64, 256),
    (256, 200): (256, 224),
}
NOTHING = (0, 0)  # every box is cut to nothing: no proposal is left


def varied_model(name='ms_rcnn_r50_fpn', change=lambda cfg: None, background=3.0):
    """A narrow model: boxes of all sizes, 100 detections in noise, none in a blank image."""
    cfg = tiny_host_cfg(name)
    cfg.test_cfg.rpn.max_per_img = 150
    cfg.test_cfg.rcnn.update(score_thr=0.05, max_per_img=100)
    if 'neck' in cfg:
        for key in ('bbox_roi_extractor', 'mask_roi_extractor'):
            cfg.roi_head[key].finest_scale = 4  # all levels serve small images
    change(cfg)
    model = build(cfg).eval()
    head = model.roi_head
    with torch.no_grad():
        layers = (model.rpn_head.rpn_cls, model.rpn_head.rpn_reg, head.bbox_head.fc_cls)
        for layer in (*layers, head.bbox_head.fc_reg, head.mask_head.conv_logits):
            spread(layer)
        spread(head.mask_iou_head.fc_mask_iou, 0.05 if 'neck' in cfg else 0.01)
        head.bbox_head.fc_cls.bias[-1] = background
    return model


def spread(layer, scale=1.0):
    layer.weight.normal_(std=scale / layer.weight[0].numel() ** 0.5)


def noise(padded):
    generator = torch.Generator().manual_seed(sum(padded))
    # Blobs of several sizes.
    parts = [
        torch.nn.functional.interpolate(
            torch.randn(1, 3, *(max(1, side // step) for side in padded), generator=generator),
            padded,
        )
        for step in (1, 8, 32)
    ]
    return 3 * sum(parts)


@torch.no_grad()
def host_prediction(model, image, size):
    """The host's own detections of a padded image, with the masks that it pastes."""
    sample = data_sample(InstanceData(), *size)
    with observe_final_masks(model.roi_head.mask_head) as probs:
        results = model.predict(image, [sample])[0].pred_instances
    side = 2 * model.roi_head.mask_iou_head.roi_feat_size[0]
    results.mask_probs = probs[0] if probs else torch.zeros(0, side, side)
    return results


def levels_of(model, results):
    """The levels of the pyramid that the masks of detections are pooled from."""
    rois = torch.cat([torch.zeros(len(results), 1), results.bboxes], 1)
    return set(model.roi_head.mask_roi_extractor.map_roi_levels(rois, 4).tolist())
