from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import torch

from msrcnn_plugin.models import detected_masks
from msrcnn_plugin.models.detected_masks import DetectionSampler
from msrcnn_plugin.models.variants import AllClassesSampler, PresentClassesSampler

from ..detections import detections, image, rectangle, sample_detections
from ..hosts import HOST_WARNINGS, batch_of, build, losses, predict, tiny_host_cfg

pytestmark = HOST_WARNINGS
ROI_HEAD = SimpleNamespace(mask_iou_head=SimpleNamespace(num_classes=3))
SAMPLERS = [AllClassesSampler, PresentClassesSampler]


def target(sampler, found, sample):
    return sampler()._target(ROI_HEAD, found, torch.zeros(len(found.labels), 4, 4), sample)


@pytest.fixture
def sample():
    """An object of class 0 and, within it, one of class 1."""
    return image(rectangle(0, 0, 10, 10), rectangle(0, 0, 5, 10), labels=[0, 1])


@pytest.fixture
def found():
    """Its first object, of the right class and of a wrong one, and nothing."""
    whole, nothing = rectangle(0, 0, 10, 10), rectangle(20, 10, 25, 15)
    return detections(whole, whole, nothing, labels=[0, 2, 1])


def test_of_all_classes_is_the_iou_with_the_best_object_of_each(sample, found):
    learned = target(AllClassesSampler, found, sample)
    assert learned.iou.tolist() == [[1, 0.5, 0], [1, 0.5, 0], [0, 0, 0]]
    assert learned.valid.all()


def test_overlaps_are_counted_once_for_all_classes(sample, found, monkeypatch):
    counted = Mock(wraps=detected_masks.pairwise_mask_iou)
    monkeypatch.setattr(detected_masks, 'pairwise_mask_iou', counted)
    target(AllClassesSampler, found, sample)
    counted.assert_called_once()


def test_present_are_the_predicted_class_and_those_that_the_mask_touches(sample, found):
    learned = target(PresentClassesSampler, found, sample)
    assert learned.iou.equal(target(AllClassesSampler, found, sample).iou)
    assert learned.valid.tolist() == [
        [True, True, False],
        [True, True, True],
        [False, True, False],
    ]


@pytest.mark.parametrize('sampler', SAMPLERS)
def test_a_crowd_leaves_its_class_without_target(sampler):
    sample = image(crowds=[rectangle(0, 0, 20, 20)])  # of class 0
    learned = target(sampler, detections(rectangle(0, 0, 5, 5), labels=[0]), sample)
    assert not learned.valid[0, 0]


@pytest.mark.parametrize('sampler', SAMPLERS)
def test_of_no_detection(sampler, sample):
    learned = target(sampler, detections(labels=[]), sample)
    assert learned.iou.shape == learned.valid.shape == (0, 3)
    del sample.ignored_instances
    assert target(sampler, detections(labels=[]), sample).iou.shape == (0, 3)


@pytest.mark.parametrize('sampler', SAMPLERS)
@pytest.mark.parametrize('host', ['ms_rcnn_r50_fpn', 'cascade_ms_rcnn_r50_fpn'])
@pytest.mark.parametrize('score_thr', [0.0, 2.0], ids=['detections', 'none'])
def test_learns_and_scores_in_a_host(sampler, host, score_thr):
    cfg = tiny_host_cfg(host)
    cfg.test_cfg.rcnn.score_thr = score_thr
    cfg.roi_head.mask_iou_sampler = dict(type=sampler.__name__)
    cfg.roi_head.mask_iou_head.update(type='AllClassesMaskIoUHead', count_zero_targets=True)
    model, batch = build(cfg), batch_of(3, 0)
    loss = losses(model, batch)['loss_mask_iou']
    loss.backward()
    assert (loss > 0) == (score_thr < 1)
    assert all(param.grad is not None for param in model.roi_head.mask_iou_head.parameters())
    for results in predict(model, batch):
        assert len(results.mask_ious) == len(results)


def test_for_the_predicted_class_it_is_the_exact_iou():
    model, batch = build(tiny_host_cfg('ms_rcnn_r50_fpn')).eval(), batch_of(3, 0)
    exact, every = (
        sample_detections(model, batch, sampler)
        for sampler in (DetectionSampler(), AllClassesSampler())
    )
    predicted = every.target.iou.gather(1, every.labels[:, None])[:, 0]
    assert predicted.equal(exact.target.iou)
    assert exact.target.iou.max() > 0
