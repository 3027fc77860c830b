"""The deployment module computes what the host predicts."""

import pytest
import torch

from msrcnn_plugin.export import DeploymentModel

from ..models.hosts import HOST_WARNINGS
from .models import NOTHING, SIZES, host_prediction, levels_of, noise, varied_model

pytestmark = HOST_WARNINGS


def class_agnostic_masks(cfg):
    cfg.roi_head.mask_head.class_agnostic = True


def class_agnostic_boxes(cfg):
    cfg.roi_head.bbox_head.reg_class_agnostic = True


def class_agnostic_iou(cfg):
    cfg.roi_head.mask_iou_head.class_agnostic = True


def logits(cfg):
    loss = dict(type='CrossEntropyLoss', use_sigmoid=True)
    cfg.roi_head.mask_iou_head.loss_iou = loss


def rescored_boxes(cfg):
    cfg.roi_head.rescore_boxes = True


def calibrated(cfg):
    cfg.roi_head.mask_iou_calibration = dict(type='MaskIoUCalibration')


def reranked(cfg):
    cfg.roi_head.mask_iou_calibration = dict(type='MaskIoUCalibration', rerank=True)


def one_class_nms(cfg):
    cfg.test_cfg.rcnn.nms.class_agnostic = True


def make(change, name='ms_rcnn_r50_fpn'):
    model = varied_model(name, change)
    if model.roi_head.mask_iou_calibration is not None:
        model.roi_head.mask_iou_calibration.set_map([0, 0.3, 0.7, 1], [0.1, 0.2, 0.8, 0.9])
    return model


def assert_equals_host(model, image, size):
    host = host_prediction(model, image, size)
    with torch.no_grad():
        found = DeploymentModel(model)(image, torch.tensor(size))
    for name in ('bboxes', 'labels', 'scores', 'mask_probs'):
        exact = name != 'scores' or not model.roi_head.rescore_boxes
        assert_close(getattr(found, name), host[name], 0 if exact else 1e-6)
    for name in ('mask_ious', 'mask_scores'):
        assert_close(getattr(found, name), host[name], 1e-6)
    return host


def assert_close(found, expected, atol):
    torch.testing.assert_close(found, expected, rtol=0, atol=atol)


CHANGES = [
    class_agnostic_masks,
    class_agnostic_boxes,
    class_agnostic_iou,
    logits,
    rescored_boxes,
    calibrated,
    reranked,
    one_class_nms,
]


@pytest.mark.parametrize('change', CHANGES, ids=lambda change: change.__name__)
def test_variants_of_the_heads(change):
    size = (96, 128)
    host = assert_equals_host(make(change), noise(size), size)
    assert len(host) > 20


def test_a_host_that_differs_in_training_alone():
    model = varied_model('dynamic_ms_rcnn_r50_fpn')
    assert len(assert_equals_host(model, noise((64, 64)), (64, 60)))


def test_sizes_paddings_and_counts():
    model = varied_model()
    counts, levels = {}, set()
    for size, padded in SIZES.items():
        host = assert_equals_host(model, noise(padded), size)
        counts[size] = len(host)
        levels |= levels_of(model, host)
    assert max(counts.values()) == 100
    assert levels == {0, 1, 2, 3}
    for extractor in (model.roi_head.bbox_roi_extractor, model.roi_head.mask_roi_extractor):
        extractor.finest_scale = 56
    host = assert_equals_host(model, noise((64, 64)), (64, 60))
    assert levels_of(model, host) == {0}  # the other levels have no RoI
    assert not len(assert_equals_host(model, noise((64, 64)), NOTHING))
    assert not len(assert_equals_host(model, torch.zeros(1, 3, 64, 64), (64, 64)))


def test_the_weights_are_those_of_the_model():
    model = varied_model()
    deployed = DeploymentModel(model)
    with torch.no_grad():
        model.roi_head.mask_iou_head.fc_mask_iou.bias.fill_(-100)
        found = deployed(noise((64, 64)), torch.tensor([64, 64]))
    assert len(found.mask_ious)
    assert not found.mask_ious.any()
