"""The hosts that come in stages: what each learns, and whose prediction counts."""

import copy

import pytest
import torch
from mmengine.hub import get_config

from .hosts import (
    HOST_WARNINGS,
    HOSTS,
    batch_of,
    build,
    losses,
    narrow,
    pair,
    predict,
    tiny_host_cfg,
)

pytestmark = HOST_WARNINGS
CASCADES = ('cascade_ms_rcnn_r50_fpn', 'htc_ms_rcnn_r50_fpn')
every_cascade = pytest.mark.parametrize('name', CASCADES)
BATCH = batch_of(3, 0)


def with_a_head_for_each_stage(name, **roi_head):
    cfg = tiny_host_cfg(name)
    head = cfg.roi_head.mask_iou_head
    cfg.roi_head.update(mask_iou_head=[copy.deepcopy(head) for _ in range(3)], **roi_head)
    return cfg


def mask_iou_losses(model):
    return [value for name, value in losses(model, BATCH).items() if 'mask_iou' in name]


@every_cascade
def test_every_stage_learns_with_the_hosts_weight(name):
    cfg = tiny_host_cfg(name)
    model = build(cfg)
    weighted = mask_iou_losses(model)
    assert cfg.roi_head.stage_loss_weights == [1, 0.5, 0.25]
    model.roi_head.stage_loss_weights = [1, 1, 1]
    assert all(loss > 0 for loss in weighted)
    for loss, weight, full in zip(weighted, [1, 0.5, 0.25], mask_iou_losses(model)):
        torch.testing.assert_close(loss, weight * full)


def test_scnets_loss_has_the_weight_of_its_mask_loss():
    model = build(tiny_host_cfg('scnet_ms_rcnn_r50_fpn'))
    (weighted,) = mask_iou_losses(model)
    model.roi_head.stage_loss_weights = [1, 1, 1]
    (full,) = mask_iou_losses(model)
    torch.testing.assert_close(weighted / 1.75, full / 3)


@every_cascade
def test_each_stages_head_learns_from_its_stage_alone(name):
    model = build(with_a_head_for_each_stage(name))
    for stage, loss in enumerate(mask_iou_losses(model)):
        model.zero_grad()
        loss.backward(retain_graph=True)
        reached = [
            any(p.grad is not None and p.grad.any() for p in head.parameters())
            for head in model.roi_head.mask_iou_head
        ]
        assert reached == [number == stage for number in range(3)]


@every_cascade
def test_the_iou_is_the_last_stages(name):
    scoring, stock = pair(with_a_head_for_each_stage(name), HOSTS[name])
    for bias, head in zip((0.1, 0.5, 0.9), scoring.roi_head.mask_iou_head):
        head.fc_mask_iou.weight.data.zero_()
        head.fc_mask_iou.bias.data.fill_(bias)
    for ours, theirs in zip(predict(scoring, BATCH), predict(stock, BATCH)):
        torch.testing.assert_close(ours.mask_ious, torch.full((10,), 0.9))
        assert torch.equal(ours.masks, theirs.masks)
        assert torch.equal(ours.scores, theirs.scores)


def test_the_removed_average_is_refused():
    with pytest.raises(ValueError, match=r'average_stages was removed.*Leave it out'):
        build(with_a_head_for_each_stage('cascade_ms_rcnn_r50_fpn', average_stages=False))


def test_a_list_of_another_length_is_refused():
    cfg = with_a_head_for_each_stage('cascade_ms_rcnn_r50_fpn')
    cfg.roi_head.mask_iou_head.pop()
    with pytest.raises(ValueError, match='is a list of 2, the cascade has 3 stages: give one'):
        build(cfg)


def test_htc_with_its_semantic_branch():
    cfg = tiny_host_cfg('htc_ms_rcnn_r50_fpn')
    semantic = get_config('mmdet::htc/htc_r50_fpn_1x_coco.py').model.roi_head
    for key in ('semantic_roi_extractor', 'semantic_head'):
        cfg.roi_head[key] = narrow(semantic[key])
    scoring, stock = pair(cfg, 'HybridTaskCascadeRoIHead')
    ours, theirs = losses(scoring, BATCH), losses(stock, BATCH)
    assert 'loss_semantic_seg' in theirs
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, atol=1e-6, rtol=0)
    for ours, theirs in zip(predict(scoring, BATCH), predict(stock, BATCH)):
        assert torch.equal(ours.masks, theirs.masks)
        assert ours.mask_ious.unique().numel() > 1
