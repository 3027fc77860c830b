"""Every detector without RoI heads as its leaf config makes it, but narrow; and mmdet's own."""

import copy
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config

from ..conftest import data_sample, disc, instances

CONFIGS = Path(__file__).resolve().parents[2] / 'configs' / 'any'
HOSTS = sorted(path.stem for path in CONFIGS.glob('*.py'))
QUERIES = ('mask2former_r50', 'maskformer_r50', 'queryinst_r50_fpn')  # always the best k
HOST_WARNINGS = [
    pytest.mark.filterwarnings(f'ignore:{message}')
    for message in (
        'torch.meshgrid',  # RTMDet's and Mask2Former's points
        '`torch.cuda.amp.autocast',  # RTMDet's backbone
        '"dropout" is deprecated in `FFN',  # configs of Mask2Former and QueryInst
        'The arguments `dropout` in MultiheadAttention',
        '__array__ implementation',  # pycocotools
        "<class 'mmengine.* has been created",  # a second runner in the process
    )
]
NARROW = {256: 32, 128: 32, 512: 32, 2048: 64, 1024: 64}
SIDE = 128


@cache
def _read(name):
    return Config.fromfile(CONFIGS / f'{name}.py')


def narrow(cfg):
    """``cfg``, changed: few channels and layers, 3 classes."""
    for key, value in cfg.items():
        for part in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(part, dict):
                narrow(part)
        if ('channel' in key or key == 'embed_dims') and isinstance(value, int):
            cfg[key] = NARROW.get(value, value)
    fixed = dict(
        num_classes=3, num_things_classes=3, num_stuff_classes=0, stacked_convs=1, num_layers=1,
        num_queries=10, num_proposals=10, num_stacked_convs=1,
    )  # fmt: skip
    for key, value in fixed.items():
        if isinstance(cfg.get(key), int) and not str(cfg.get('type')).endswith('InstMaskHead'):
            cfg[key] = value
    if 'num_feats' in cfg:
        cfg.num_feats = 16
    if 'class_weight' in cfg and cfg.class_weight:
        cfg.class_weight = [1.0] * 3 + [0.1]


def tiny_cfg(name):
    """The model of ``configs/any/<name>.py``, narrow, that emits ten masks of any score."""
    cfg = copy.deepcopy(_read(name).model)
    narrow(cfg)
    cfg.backbone.init_cfg = None
    if cfg.type == 'MSRTMDet':
        cfg.backbone.widen_factor = 0.125
        cfg.neck.update(in_channels=[32, 64, 128], out_channels=32)
        cfg.bbox_head.update(in_channels=32, feat_channels=32)
    else:
        cfg.backbone.update(depth=18, base_channels=8)
        stages = [8, 16, 32, 64]
        (cfg.get('neck') or cfg.panoptic_head).in_channels = stages
    if cfg.type in ('MSCondInst', 'MSBoxInst'):
        # Its coarsest level has one cell, and 32 channels no 32 groups of several values.
        cfg.bbox_head.norm_cfg = dict(type='GN', num_groups=8)
    if cfg.type == 'MSYOLACT':
        cfg.mask_head.proto_channels = (32, 32, 32, None, 32, 32)
        cfg.bbox_head.anchor_generator.update(strides=[8, 16, 32, 64, 128], centers=None)
    if cfg.type == 'MSQueryInst':
        roi_head = cfg.roi_head
        roi_head.update(num_stages=1, stage_loss_weights=[1])
        roi_head.bbox_head, roi_head.mask_head = roi_head.bbox_head[:1], roi_head.mask_head[:1]
        # The CPU takes no boxes outside the image.
        roi_head.bbox_head[0].bbox_coder.clip_border = True
        cfg.train_cfg.rcnn = cfg.train_cfg.rcnn[:1]
        cfg.test_cfg.rcnn.max_per_img = 10
    else:
        cfg.test_cfg.update(
            score_thr=0.0, nms_pre=60, max_per_img=10, max_per_image=10, filter_thr=0.0, top_k=20
        )
    cfg.mask_iou_head.update(num_convs=2, num_fcs=1, conv_out_channels=16, fc_out_channels=32)
    cfg.mask_iou_sampler = dict(type='DetectorSampler')
    return cfg


def stock_cfg(cfg):
    """``cfg`` as mmdet's own host."""
    cfg = copy.deepcopy(cfg)
    cfg.type = cfg.type[2:]
    for key in ('mask_iou_head', 'mask_iou_sampler'):
        del cfg[key]
    return cfg


def build(cfg):
    model = MODELS.build(copy.deepcopy(cfg))
    model.init_weights()
    for name, weight in model.named_parameters():
        # Random weights make masks and scores that all are alike.
        if weight.dim() > 1 and 'mask_iou_head' not in name:
            weight.data *= 2
        if 'conv_mask_list' in name:  # SOLO's, which begin with no pixel above the cut
            weight.data.normal_(0, 0.3)
    return model


def host_pair(name):
    """The host with mask scoring, and mmdet's own with the same weights."""
    cfg = tiny_cfg(name)
    scoring, stock = build(cfg), MODELS.build(stock_cfg(cfg))
    missing, unexpected = stock.load_state_dict(scoring.state_dict(), strict=False)
    assert not missing
    assert all(key.startswith('mask_iou_head.') for key in unexpected)
    return scoring, stock


def batch_of(*counts, shapes=None):
    """Images with so many discs each, padded to 128 x 128."""
    shapes = shapes or [(SIDE, SIDE)] * len(counts)
    discs = [
        disc(SIDE, SIDE, 36, 40, 24),
        disc(SIDE, SIDE, 84, 66, 30),
        disc(SIDE, SIDE, 30, 84, 20),
    ]
    samples = []
    for count, (height, width) in zip(counts, shapes):
        masks = np.array(discs[:count]).reshape(-1, SIDE, SIDE)
        masks[:, height:], masks[:, :, width:] = 0, 0
        gts = instances(masks)
        gts.labels = gts.labels.long()
        sample = data_sample(gts, height, width)
        sample.set_metainfo(dict(batch_input_shape=(SIDE, SIDE), pad_shape=(SIDE, SIDE)))
        samples.append(sample)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(len(counts), 3, SIDE, SIDE, generator=generator)
    for image, (height, width) in zip(images, shapes):
        image[:, height:], image[:, :, width:] = 0, 0
    return images, samples


@torch.no_grad()
def predict(model, batch):
    images, samples = copy.deepcopy(batch)
    return [sample.pred_instances for sample in model.eval().predict(images, samples)]


def losses(model, batch):
    torch.manual_seed(3)
    images, samples = copy.deepcopy(batch)
    return model.train().loss(images, samples)
