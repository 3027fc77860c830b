from types import SimpleNamespace

import pytest
import torch

from msrcnn_plugin.models import DetectionSampler
from msrcnn_plugin.models.ground_truth_masks import prepare_masks
from projects.ablations.components.samplers import (
    AllClassesSampler,
    PresentClassesSampler,
    RoIGridSampler,
)

from ...models.detections import detections, image, rectangle, sample_detections
from ...models.hosts import HOST_WARNINGS, batch_of, build, losses, tiny_host_cfg

pytestmark = HOST_WARNINGS
ROI_HEAD = SimpleNamespace(mask_iou_head=SimpleNamespace(num_classes=3))
BOX = [2.0, 2.0, 10.0, 10.0]
LEFT = rectangle(2, 2, 6, 10)  # the left half of the box


def target(sampler, found, sample):
    """With masks whose left half is foreground, in boxes that are all the same."""
    found.bboxes = torch.tensor([BOX] * len(found.labels)).reshape(-1, 4)
    prepare_masks([sample.gt_instances], torch.device('cpu'))
    probs = torch.zeros(len(found.labels), 4, 4)
    probs[:, :, :2] = 1
    return sampler()._target(ROI_HEAD, found, probs, sample)


@pytest.fixture
def sample():
    """An object of class 0 and, within it, one of class 1."""
    return image(rectangle(0, 0, 10, 10), rectangle(0, 0, 5, 10), labels=[0, 1])


@pytest.fixture
def found():
    """Its first object, of the right class and of a wrong one, and nothing."""
    whole, nothing = rectangle(0, 0, 10, 10), rectangle(20, 10, 25, 15)
    return detections(whole, whole, nothing, labels=[0, 2, 1])


def test_of_all_classes_it_is_the_iou_with_the_best_object_of_each(sample, found):
    learned = target(AllClassesSampler, found, sample)
    assert learned.iou.tolist() == [[1, 0.5, 0], [1, 0.5, 0], [0, 0, 0]]
    assert learned.valid.all()


def test_present_are_the_predicted_class_and_those_that_the_mask_touches(sample, found):
    learned = target(PresentClassesSampler, found, sample)
    assert learned.valid.tolist() == [[True, True, False], [True] * 3, [False, True, False]]


def test_on_the_grid_it_is_the_iou_with_the_whole_object():
    sample = image(rectangle(2, 2, 10, 10), rectangle(2, 2, 10, 18), labels=[0, 1])
    learned = target(RoIGridSampler, detections(LEFT, LEFT, LEFT, labels=[0, 1, 2]), sample)
    # Half the object, a quarter of the one that continues below the box, none of the class.
    assert learned.iou.tolist() == pytest.approx([1 / 2, 1 / 4, 0])
    assert learned.valid.all()


def test_on_the_grid_the_object_is_the_one_that_the_mask_fits_best():
    sample = image(rectangle(4, 2, 10, 10), LEFT, labels=[0, 0])
    assert target(RoIGridSampler, detections(LEFT, labels=[0]), sample).iou.item() == 1


@pytest.mark.parametrize('sampler', [AllClassesSampler, PresentClassesSampler, RoIGridSampler])
class TestEach:
    def test_a_crowd_leaves_its_class_without_target(self, sampler):
        sample = image(crowds=[rectangle(0, 0, 20, 20)])  # of class 0
        learned = target(sampler, detections(LEFT, labels=[0]), sample)
        assert not learned.valid.flatten()[0]

    def test_no_detection(self, sampler, sample):
        learned = target(sampler, detections(labels=[]), sample)
        assert learned.iou.shape == learned.valid.shape
        assert len(learned.iou) == 0

    def test_a_host_that_detects_nothing_learns_nothing(self, sampler):
        cfg = tiny_host_cfg('ms_rcnn_r50_fpn')
        cfg.test_cfg.rcnn.score_thr = 2.0
        cfg.roi_head.mask_iou_sampler = dict(type=sampler.__name__)
        head = 'MSMaskIoUHead' if sampler is RoIGridSampler else 'AllClassesMaskIoUHead'
        cfg.roi_head.mask_iou_head.update(type=head, count_zero_targets=True)
        model = build(cfg)
        loss = losses(model, batch_of(3, 0))['loss_mask_iou']
        loss.backward()
        assert loss == 0
        assert all(param.grad is not None for param in model.roi_head.mask_iou_head.parameters())


@pytest.mark.parametrize('sampler', [AllClassesSampler, RoIGridSampler])
def test_for_the_predicted_class_it_is_the_exact_iou_or_near_it(sampler):
    model, batch = build(tiny_host_cfg('ms_rcnn_r50_fpn')).eval(), batch_of(3, 0)
    exact, other = (sample_detections(model, batch, s()) for s in (DetectionSampler, sampler))
    iou = other.target.iou
    if iou.dim() == 2:
        iou = iou.gather(1, other.labels[:, None])[:, 0]
    torch.testing.assert_close(
        iou, exact.target.iou, atol=0.05 if sampler is RoIGridSampler else 0, rtol=0
    )
    assert exact.target.iou.max() > 0
