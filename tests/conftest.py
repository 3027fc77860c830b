"""Small models and ground truth that the tests share."""

import copy
import os
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import settings
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import config as mmengine_config
from mmengine.config import utils as config_utils
from mmengine.hub import get_config, hub
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

import msrcnn_plugin  # noqa: F401  (registers the plugin)

if 'PYTEST_XDIST_WORKER' in os.environ:
    # One process a core: more threads, here and in its children, would wait for each other.
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    torch.set_num_threads(1)

# mmengine formats each config that it logs or dumps, and reads all of mmdet's model index for each
# config of mmdet. Either takes longer than a tiny model's test.
mmengine_config.FormatCode = lambda text, **_: (text, True)
config_utils._get_cfg_metainfo = hub._get_cfg_metainfo = cache(config_utils._get_cfg_metainfo)

# A machine that is slow for a moment is no failure.
settings.register_profile('patient', settings(), deadline=None)
settings.load_profile('patient')


@pytest.fixture(autouse=True)
def mmdet_scope():
    init_default_scope('mmdet')


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture(scope='session')
def models_folder(tmp_path_factory):
    """Config and checkpoint of a tiny model with mask scores and of one without, and images."""
    from .own_project import lay_out_models  # which imports this file

    init_default_scope('mmdet')
    torch.manual_seed(0)
    return lay_out_models(tmp_path_factory.mktemp('models'))


@cache
def mask_rcnn():
    return get_config('mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py')


def tiny_model_cfg(roi_head_type='MSRoIHead', num_classes=3, **roi_head):
    """mmdet's Mask R-CNN R50-FPN, narrow, with its roi_head replaced in part by ``roi_head``."""
    config = copy.deepcopy(mask_rcnn())
    cfg = config.model
    cfg.backbone.update(depth=18, base_channels=8, init_cfg=None, norm_eval=False, frozen_stages=-1)
    cfg.neck.update(in_channels=[8, 16, 32, 64], out_channels=16)
    cfg.rpn_head.update(in_channels=16, feat_channels=16)
    head = cfg.roi_head
    head.bbox_roi_extractor.out_channels = head.mask_roi_extractor.out_channels = 16
    head.bbox_head.update(in_channels=16, fc_out_channels=32, num_classes=num_classes)
    head.mask_head.update(
        in_channels=16, conv_out_channels=16, num_convs=1, num_classes=num_classes
    )
    if roi_head_type.startswith('MS'):
        head.mask_iou_head = dict(
            type='MSMaskIoUHead', num_convs=2, num_fcs=1, conv_out_channels=16, fc_out_channels=32
        )
    config.merge_from_dict(dict(model=dict(roi_head=dict(type=roi_head_type, **roi_head))))
    cfg = config.model
    cfg.train_cfg.rcnn.sampler.num = 32
    cfg.train_cfg.rpn_proposal.max_per_img = cfg.test_cfg.rpn.max_per_img = 50
    cfg.test_cfg.rcnn.update(score_thr=0.0, max_per_img=20)
    return cfg


def build_tiny_model(*args, **kwargs):
    model = MODELS.build(tiny_model_cfg(*args, **kwargs))
    model.init_weights()
    return model


def disc(height, width, x, y, radius):
    rows, cols = np.mgrid[:height, :width]
    return ((cols + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2 <= radius**2).astype(np.uint8)


def instances(masks, labels=None):
    """Ground truth of an image from its masks (G, H, W)."""
    masks = np.asarray(masks, dtype=np.uint8)
    boxes = [
        (np.nonzero(m.any(0))[0][0], np.nonzero(m.any(1))[0][0], np.nonzero(m.any(0))[0][-1] + 1,
         np.nonzero(m.any(1))[0][-1] + 1)
        if m.any() else (0, 0, 0, 0)
        for m in masks
    ]  # fmt: skip
    boxes = torch.tensor(np.array(boxes, dtype=np.float32).reshape(-1, 4))
    labels = torch.arange(len(masks)) % 3 if labels is None else torch.tensor(labels)
    return InstanceData(
        bboxes=boxes, labels=labels, masks=BitmapMasks(masks, masks.shape[1], masks.shape[2])
    )


def data_sample(gt_instances, height=96, width=128, scale=1.0):
    sample = DetDataSample(
        metainfo=dict(
            img_shape=(height, width),
            ori_shape=(round(height / scale), round(width / scale)),
            pad_shape=(height, width),
            batch_input_shape=(height, width),
            scale_factor=(scale, scale),
            img_id=0,
        )
    )
    sample.gt_instances = gt_instances
    sample.ignored_instances = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0).long())
    return sample


@pytest.fixture
def batch():
    """Two images: one with three discs (one on the border), one without objects."""
    masks = [disc(96, 128, 30, 40, 20), disc(96, 128, 80, 50, 30), disc(96, 128, 128, 10, 14)]
    empty = instances(np.zeros((0, 96, 128)))
    empty.labels = empty.labels.long()
    return torch.randn(2, 3, 96, 128), [data_sample(instances(masks)), data_sample(empty)]
