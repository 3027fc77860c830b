import pytest
import torch

from msrcnn_plugin.models.detected_masks import DetectionSampler
from msrcnn_plugin.models.ground_truth_masks import prepare_masks
from msrcnn_plugin.models.variants import RoIGridSampler

from ..detections import detections, image, rectangle, sample_detections
from ..hosts import HOST_WARNINGS, batch_of, build, tiny_host_cfg

pytestmark = HOST_WARNINGS
BOX = [2.0, 2.0, 10.0, 10.0]
LEFT = rectangle(2, 2, 6, 10)


def target(found, boxes, probs, sample):
    found.bboxes = torch.tensor(boxes).reshape(-1, 4)
    prepare_masks([sample.gt_instances], torch.device('cpu'))
    return RoIGridSampler()._target(None, found, probs, sample)


def left_half(count):
    probs = torch.zeros(count, 4, 4)
    probs[:, :, :2] = 1
    return probs


def test_is_the_iou_on_the_grid_with_the_whole_object():
    sample = image(rectangle(2, 2, 10, 10), rectangle(2, 2, 10, 18), labels=[0, 1])
    found = detections(LEFT, LEFT, LEFT, labels=[0, 1, 2])
    learned = target(found, [BOX] * 3, left_half(3), sample)
    # Half the object, a quarter of the one that goes on below the box, none of the class.
    assert learned.iou.tolist() == pytest.approx([1 / 2, 1 / 4, 0])
    assert learned.valid.all()


def test_the_object_is_the_one_that_the_mask_fits_best():
    sample = image(rectangle(4, 2, 10, 10), LEFT, labels=[0, 0])
    learned = target(detections(LEFT, labels=[0]), [BOX], left_half(1), sample)
    assert learned.iou.item() == 1


def test_has_no_target_where_evaluation_ignores_it():
    sample = image(crowds=[rectangle(0, 0, 20, 20)])
    learned = target(detections(LEFT, LEFT, labels=[0, 1]), [BOX] * 2, left_half(2), sample)
    assert learned.iou.tolist() == [0, 0]
    assert learned.valid.tolist() == [False, True]


@pytest.mark.parametrize('labels', [[], [0]])
def test_of_no_detection(labels):
    sample = image(*[LEFT] * len(labels), labels=labels)
    learned = target(detections(labels=[]), [], torch.zeros(0, 1, 1), sample)
    assert learned.iou.shape == learned.valid.shape == (0,)


@pytest.mark.parametrize('host', ['ms_rcnn_r50_fpn', 'point_rend_ms_rcnn_r50_fpn'])
def test_is_near_the_exact_one_of_the_same_detections(host):
    model, batch = build(tiny_host_cfg(host)).eval(), batch_of(3, 0)
    exact, on_grid = (
        sample_detections(model, batch, sampler)
        for sampler in (DetectionSampler(), RoIGridSampler())
    )
    assert on_grid.labels.equal(exact.labels)
    assert on_grid.mask_probs.equal(exact.mask_probs)
    assert (on_grid.target.iou[exact.target.iou == 0] == 0).all()
    assert exact.target.iou.max() > 0
    torch.testing.assert_close(on_grid.target.iou, exact.target.iou, atol=0.05, rtol=0)


def test_what_the_mask_head_asked_for_is_not_taken_for_it():
    sample = image(rectangle(2, 2, 10, 10), labels=[0])
    prepare_masks([sample.gt_instances], torch.device('cpu'))
    masks = sample.gt_instances.masks
    masks.crop_and_resize(torch.tensor([[0.0, 0.0, 4.0, 4.0]]), (4, 4), torch.tensor([0]))
    learned = target(detections(LEFT, labels=[0]), [BOX], left_half(1), sample)
    assert learned.iou.item() == pytest.approx(1 / 2)
