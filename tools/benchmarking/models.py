"""The three contestants, which differ in their RoI head alone and share every weight they have in
common.

mask_rcnn  mmdet's Mask R-CNN
ms_rcnn    mmdet's Mask Scoring R-CNN
plugin     this repository's
"""

import copy
import functools

import torch
from mmdet.registry import MODELS
from mmengine.hub import get_config

from tools.benchmarking.scene import NUM_CLASSES

CASES = ('mask_rcnn', 'ms_rcnn', 'plugin')
CONFIG = 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py'
# What a case changes in the RoI head of CONFIG.
ROI_HEADS = {
    'mask_rcnn': {},
    'ms_rcnn': dict(
        type='MaskScoringRoIHead',
        mask_iou_head=dict(type='MaskIoUHead', num_classes=NUM_CLASSES),
    ),
    'plugin': dict(type='MSRoIHead', mask_iou_head=dict(type='MSMaskIoUHead')),
}
SMALL_CHANNELS = 16


def build_model(case, positives, small):
    """The whole detector of a case, ``positives`` of an image's proposals trained on."""
    return _with_shared_weights('model', case, positives, small)


def build_roi_head(case, positives, small):
    """The RoI head of a case alone."""
    return _with_shared_weights('roi_head', case, positives, small)


def _with_shared_weights(part, case, positives, small):
    module = _build(part, case, positives, small)
    weights = _weights(part, positives, small)
    if case == 'mask_rcnn':
        weights = {name: value for name, value in weights.items() if 'mask_iou_head' not in name}
    module.load_state_dict(weights)  # strict: no case may have a weight of its own
    return module


@functools.lru_cache(maxsize=1)
def _weights(part, positives, small):
    """Of the stock MS R-CNN, which has all there are."""
    torch.manual_seed(0)
    module = _build(part, 'ms_rcnn', positives, small)
    module.init_weights()
    return module.state_dict()


def _build(part, case, positives, small):
    cfg = model_config(case, positives, small)
    if part == 'model':
        return MODELS.build(cfg)
    return MODELS.build(
        dict(cfg.roi_head, train_cfg=cfg.train_cfg.rcnn, test_cfg=cfg.test_cfg.rcnn)
    )


def model_config(case, positives=128, small=False):
    """mmdet's Mask R-CNN R50-FPN with the RoI head of ``case``; ``small``: narrow all over."""
    cfg = copy.deepcopy(_config().model)
    cfg.backbone.init_cfg = None  # nothing is downloaded; weights have no say in speed
    cfg.roi_head.update(ROI_HEADS[case])
    cfg.train_cfg.rcnn.mask_thr_binary = 0.5  # which the stock MaskIoU head reads there
    sampler = cfg.train_cfg.rcnn.sampler
    sampler.num = round(positives / sampler.pos_fraction)
    return _narrow(cfg) if small else cfg


@functools.lru_cache(maxsize=1)
def _config():
    return get_config(CONFIG)


def _narrow(cfg):
    cfg.backbone.update(depth=18, base_channels=8)
    cfg.neck.update(in_channels=[8, 16, 32, 64], out_channels=SMALL_CHANNELS)
    cfg.rpn_head.update(in_channels=SMALL_CHANNELS, feat_channels=SMALL_CHANNELS)
    head = cfg.roi_head
    for extractor in (head.bbox_roi_extractor, head.mask_roi_extractor):
        extractor.out_channels = SMALL_CHANNELS
    head.bbox_head.update(in_channels=SMALL_CHANNELS, fc_out_channels=32)
    head.mask_head.update(in_channels=SMALL_CHANNELS, conv_out_channels=SMALL_CHANNELS, num_convs=1)
    if 'mask_iou_head' in head:
        head.mask_iou_head.update(conv_out_channels=SMALL_CHANNELS, fc_out_channels=32)
    if head.type == 'MaskScoringRoIHead':  # the plugin's asks its host
        head.mask_iou_head.in_channels = SMALL_CHANNELS
    return cfg


def feature_channels(small):
    """Of the pyramid's levels."""
    return SMALL_CHANNELS if small else 256
