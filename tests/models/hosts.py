"""Every host as the config that ships with it makes it, but narrow; and mmdet's own with it."""

import copy
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.structures import PixelData

from msrcnn_plugin.hooks.mask_iou_heads import find_mask_iou_heads

from ..conftest import data_sample, disc, instances

# What mmdet's own code warns of in a host.
HOST_WARNINGS = [
    pytest.mark.filterwarnings(f'ignore:{message}')
    for message in (
        'To copy construct from a tensor',  # cascades, of their merged masks
        'Default ``avg_non_ignore`` is False',  # semantic heads
        'indexing with dtype torch.uint8',  # a shared RoI extractor
        'DeprecationWarning. pos_bboxes is deprecated',  # PointRend
    )
]
CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
# The config that ships with each host, and mmdet's own RoI head.
HOSTS = {
    'ms_rcnn_r50_fpn': 'StandardRoIHead',
    'ms_rcnn_r50_c4': 'StandardRoIHead',
    'cascade_ms_rcnn_r50_fpn': 'CascadeRoIHead',
    'htc_ms_rcnn_r50_fpn': 'HybridTaskCascadeRoIHead',
    'scnet_ms_rcnn_r50_fpn': 'SCNetRoIHead',
    'point_rend_ms_rcnn_r50_fpn': 'PointRendRoIHead',
    'dynamic_ms_rcnn_r50_fpn': 'DynamicRoIHead',
    'double_head_ms_rcnn_r50_fpn': 'DoubleHeadRoIHead',
    'pisa_ms_rcnn_r50_fpn': 'PISARoIHead',
}
NARROW = {256: 16, 512: 32, 1024: 32, 2048: 64}


@cache
def _read(name):
    return Config.fromfile(CONFIGS / f'{name}.py')


def tiny_host_cfg(name):
    """The model of ``configs/<name>.py``, narrow, with 3 classes and few RoIs."""
    cfg = copy.deepcopy(_read(name).model)
    if cfg.roi_head.get('shared_head'):
        # Its stage fixes its width: 64 channels to 128.
        narrow(cfg, {1024: 64, 2048: 128})
        cfg.backbone.update(depth=18, base_channels=16)
        cfg.roi_head.shared_head.update(depth=18, stage=1)
        cfg.rpn_head.feat_channels = cfg.roi_head.mask_head.conv_out_channels = 16
    elif cfg.backbone.get('dcn'):
        narrow(cfg)
        cfg.backbone.update(depth=50, base_channels=8)
        cfg.neck.in_channels = [32, 64, 128, 256]
    else:
        narrow(cfg)
        cfg.backbone.update(depth=18, base_channels=8)
        cfg.neck.in_channels = [8, 16, 32, 64]
    cfg.backbone.init_cfg = None
    cfg.roi_head.mask_iou_head.update(
        num_convs=2, num_fcs=1, conv_out_channels=16, fc_out_channels=32
    )
    rcnn = cfg.train_cfg.rcnn
    for stage in rcnn if isinstance(rcnn, list) else [rcnn]:
        stage.sampler.num = 16
    cfg.train_cfg.rpn_proposal.max_per_img = cfg.test_cfg.rpn.max_per_img = 20
    cfg.test_cfg.rcnn.update(score_thr=0.0, max_per_img=10)
    return cfg


def narrow(cfg, widths=NARROW):
    """``cfg``, changed: fewer channels, and 3 classes."""
    for key, value in cfg.items():
        for part in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(part, dict):
                narrow(part, widths)
        if 'channels' in key and isinstance(value, int):
            cfg[key] = widths.get(value, value)
    if 'num_classes' in cfg:
        cfg['num_classes'] = 3
    return cfg


def stock_cfg(cfg, roi_head):
    """``cfg`` with mmdet's own ``roi_head`` in place of the scoring one."""
    cfg = copy.deepcopy(cfg)
    cfg.roi_head.type = roi_head
    for key in ('mask_iou_head', 'mask_iou_sampler'):
        cfg.roi_head.pop(key, None)
    return cfg


def build(cfg):
    model = MODELS.build(copy.deepcopy(cfg))
    model.init_weights()
    for head in find_mask_iou_heads(model):
        # Inside [0, 1], where predictions differ; without training they start around 0.
        head.fc_mask_iou.bias.data.fill_(0.5)
    return model


def pair(cfg, roi_head):
    """The model of ``cfg``, and mmdet's own with the same weights."""
    scoring, stock = build(cfg), MODELS.build(stock_cfg(cfg, roi_head))
    missing, unexpected = stock.load_state_dict(scoring.state_dict(), strict=False)
    assert not missing
    assert all('mask_iou_head' in name for name in unexpected)
    return scoring, stock


def host_pair(name):
    return pair(tiny_host_cfg(name), HOSTS[name])


def batch_of(*counts):
    """Images with so many discs each, and a semantic map for the hosts that learn from one."""
    discs = [disc(96, 128, 30, 40, 20), disc(96, 128, 80, 50, 30), disc(96, 128, 128, 10, 14)]
    samples = []
    for count in counts:
        gts = instances(np.array(discs[:count]).reshape(-1, 96, 128))
        gts.labels = gts.labels.long()
        # Off the pixels' edges: where a mask is 0.5 to the last digit rounding decides, here and in
        # mmdet, on which side of the threshold it is.
        gts.bboxes += torch.tensor([0.31, 0.17, -0.23, -0.41])
        sample = data_sample(gts)
        sample.gt_sem_seg = PixelData(sem_seg=torch.zeros(1, 96, 128, dtype=torch.long))
        samples.append(sample)
    generator = torch.Generator().manual_seed(0)
    return torch.randn(len(counts), 3, 96, 128, generator=generator), samples


def losses(model, batch):
    """All losses of a training step, the samplers seeded."""
    torch.manual_seed(3)
    images, samples = copy.deepcopy(batch)
    return {
        name: sum(v) if isinstance(v, list) else v
        for name, v in model.train().loss(images, samples).items()
    }


@torch.no_grad()
def predict(model, batch):
    images, samples = copy.deepcopy(batch)
    return [sample.pred_instances for sample in model.eval().predict(images, samples)]
