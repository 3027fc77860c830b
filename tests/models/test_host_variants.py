"""What users change in a host: mask head, norm, backbone, NMS."""

import copy
import sys

import pytest
import torch
import torch.nn.functional as F
from mmengine.hub import get_config

from .hosts import HOST_WARNINGS, HOSTS, batch_of, losses, narrow, pair, predict, tiny_host_cfg

pytestmark = HOST_WARNINGS
BATCH = batch_of(3, 0)


def assert_scores_as_the_host_with_its_losses(cfg, roi_head='StandardRoIHead'):
    scoring, stock = pair(cfg, roi_head)
    ours, theirs = losses(scoring, BATCH), losses(stock, BATCH)
    added = set(ours) - set(theirs)
    assert added
    assert all('mask_iou' in name and ours[name] > 0 for name in added)
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, atol=1e-6, rtol=0)
    for ours, theirs in zip(predict(scoring, BATCH), predict(stock, BATCH)):
        assert len(ours) > 0
        for name in ('bboxes', 'scores', 'labels', 'masks'):
            assert torch.equal(ours[name], theirs[name]), name
        assert ours.mask_ious.unique().numel() > 1
    return scoring


def as_list(value):
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize('part', ['mask_head', 'mask_iou_head'])
@pytest.mark.parametrize('host', ['ms_rcnn', 'cascade_ms_rcnn', 'htc_ms_rcnn', 'scnet_ms_rcnn'])
def test_class_agnostic(host, part):
    name = f'{host}_r50_fpn'
    cfg = tiny_host_cfg(name)
    for head in as_list(cfg.roi_head[part]):
        head.class_agnostic = True
    assert_scores_as_the_host_with_its_losses(cfg, HOSTS[name])


def carafe(features, masks, kernel_size, group_size=1, scale_factor=1):
    """The operation of CARAFE (arXiv 1905.02188, section 3.1), of which mmcv has none for the CPU:
    each output pixel is a weighted sum of the window around the input pixel that it lies in.
    """
    count, channels, height, width = features.shape
    windows = F.unfold(features, kernel_size, padding=kernel_size // 2)
    windows = windows.view(count, -1, height, width)
    windows = F.interpolate(windows, scale_factor=scale_factor, mode='nearest')
    windows = windows.view(count, channels, kernel_size**2, *windows.shape[2:])
    return (windows * masks[:, None]).sum(2)


def test_carafe_masks_of_56_px(monkeypatch):
    # By name mmcv.ops has the function; the module is meant.
    monkeypatch.setattr(sys.modules['mmcv.ops.carafe'], 'carafe', carafe)
    cfg = tiny_host_cfg('ms_rcnn_r50_fpn')
    head = get_config('mmdet::carafe/mask-rcnn_r50_fpn-carafe_1x_coco.py').model.roi_head.mask_head
    cfg.roi_head.mask_head.upsample_cfg = dict(narrow(head.upsample_cfg), scale_factor=4)
    cfg.train_cfg.rcnn.mask_size = 56
    seen = []
    model = assert_scores_as_the_host_with_its_losses(cfg)
    model.roi_head.mask_iou_head.register_forward_pre_hook(
        lambda _, inputs: seen.append(tuple(inputs[1].shape[1:]))
    )
    predict(model, BATCH)
    assert seen == [(56, 56)]


@pytest.mark.parametrize('name', ['ms_rcnn_r50_fpn', 'cascade_ms_rcnn_r50_fpn'])
@pytest.mark.parametrize('norm', [dict(type='GN', num_groups=4), dict(type='SyncBN')])
def test_norm(name, norm):
    cfg = tiny_host_cfg(name)
    cfg.backbone.norm_cfg = norm
    for head in as_list(cfg.roi_head.mask_head):
        head.norm_cfg = norm
    assert_scores_as_the_host_with_its_losses(cfg, HOSTS[name])


def test_deformable_backbone():
    assert_scores_as_the_host_with_its_losses(tiny_host_cfg('ms_rcnn_r101_dconv_fpn'))


def test_soft_nms():
    cfg = tiny_host_cfg('ms_rcnn_r50_fpn_soft_nms')
    cfg.test_cfg.rcnn.max_per_img = 60
    model = assert_scores_as_the_host_with_its_losses(cfg)
    soft = predict(model, BATCH)
    model.roi_head.test_cfg = copy.deepcopy(model.roi_head.test_cfg)
    model.roi_head.test_cfg.nms = dict(type='nms', iou_threshold=0.5)
    assert not torch.equal(predict(model, BATCH)[0].scores, soft[0].scores)
