"""Ground-truth masks that remember a grid, and never give it for another question."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.models.roi_heads import StandardRoIHead
from mmdet.registry import MODELS
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from mmengine.structures import InstanceData

from msrcnn_plugin.models import MaskScoringMixin, ground_truth_masks
from msrcnn_plugin.models.ground_truth_masks import prepare_masks

from .hosts import HOST_WARNINGS, batch_of, build, losses, tiny_host_cfg

SIZE = (4, 4)
INDS = torch.tensor([0])


def square(kind, x=0, side=8):
    """A square at the left border of an image of 16 x 16."""
    if kind is BitmapMasks:
        pixels = np.zeros((1, 16, 16), np.uint8)
        pixels[0, :side, x : x + side] = 1
        masks = BitmapMasks(pixels, 16, 16)
    else:
        corners = np.array([x, 0, x + side, 0, x + side, side, x, side], dtype=float)
        masks = PolygonMasks([[corners]], 16, 16)
    gts = InstanceData(masks=masks)
    prepare_masks([gts], torch.device('cpu'))
    return gts.masks


both_kinds = pytest.mark.parametrize('kind', [BitmapMasks, PolygonMasks])
WHOLE, QUARTER = torch.tensor([[0.0, 0, 8, 8]]), torch.tensor([[4.0, 4, 12, 12]])


@both_kinds
def test_other_boxes_get_their_own_coverage(kind):
    masks = square(kind)
    masks.crop_and_resize(WHOLE.numpy(), SIZE, INDS.numpy())
    found = masks.ground_truth(QUARTER, INDS, SIZE)
    assert found.coverage.item() == pytest.approx(0.25)
    assert found.grid[0, :2, :2].mean() == 1
    assert found.grid.mean() == 0.25


@both_kinds
def test_boxes_changed_in_place_are_other_boxes(kind):
    masks, boxes = square(kind), WHOLE.clone()
    masks.crop_and_resize(boxes.numpy(), SIZE, INDS.numpy())
    boxes += 4
    assert masks.ground_truth(boxes, INDS, SIZE).grid.mean() == 0.25


questions = st.lists(
    st.tuples(
        st.sampled_from([0, 4, 8]), st.sampled_from([2, 4]), st.lists(st.just(0), max_size=2)
    ),
    min_size=1,
    max_size=4,
)


@given(questions, st.sampled_from([BitmapMasks, PolygonMasks]))
@settings(max_examples=30)
def test_an_answer_depends_on_its_question_alone(asked, kind):
    masks = square(kind)
    for start, size, inds in asked:
        boxes = torch.tensor([[start, 0.0, start + 8, 8]] * len(inds)).reshape(-1, 4)
        question = boxes, torch.tensor(inds, dtype=torch.long), (size, size)
        for answer, expected in zip(
            masks.ground_truth(*question), square(kind).ground_truth(*question)
        ):
            assert torch.equal(answer, expected)


def test_what_is_learned_from_detections_has_no_coverage_computed(monkeypatch):
    def refused(*args):
        raise AssertionError('the coverage of the positives is of no use here')

    monkeypatch.setattr(ground_truth_masks, 'mask_coverage', refused)
    cfg = tiny_host_cfg('ms_rcnn_r50_fpn')
    cfg.roi_head.mask_iou_sampler = dict(type='DetectionSampler')
    assert losses(build(cfg), batch_of(3, 0))['loss_mask'] > 0


class JitteringHead(StandardRoIHead):
    """Hands its mask branch other boxes, and half of them, than it was given."""

    seen = None

    def mask_loss(self, x, sampling_results, bbox_feats, batch_gt_instances):
        changed = [copy.copy(res) for res in sampling_results]
        for res in changed:
            keep = slice(None, None, 2)
            res.pos_priors = res.pos_priors[keep] + torch.tensor([-7.0, 3, 2, 11])
            res.pos_assigned_gt_inds = res.pos_assigned_gt_inds[keep]
            res.pos_gt_labels = res.pos_gt_labels[keep]
        self.seen = changed
        return super().mask_loss(x, changed, bbox_feats, batch_gt_instances)


class JitteringScoringHead(MaskScoringMixin, JitteringHead):
    """The same, with mask scoring."""


@pytest.fixture
def jittering():
    MODELS.register_module(module=JitteringScoringHead)
    cfg = tiny_host_cfg('ms_rcnn_r50_fpn')
    cfg.roi_head.type = 'JitteringScoringHead'
    yield build(cfg)
    MODELS.module_dict.pop('JitteringScoringHead')


@pytest.mark.filterwarnings(*(mark.args[0] for mark in HOST_WARNINGS))
def test_a_roi_head_that_changes_its_boxes_learns_from_their_target(jittering):
    targets = []
    head = jittering.roi_head.mask_iou_head
    head.target = lambda probs, gt: (
        targets.append((probs, gt)) or type(head).target(head, probs, gt)
    )
    images, samples = batch_of(3, 0)
    losses(jittering, (images, samples))
    ((mask_probs, found),) = targets
    res = jittering.roi_head.seen[0]
    assert len(mask_probs) == len(res.pos_priors) == len(found.grid) > 1
    for box, index, coverage in zip(res.pos_priors, res.pos_assigned_gt_inds, found.coverage):
        mask = samples[0].gt_instances.masks.masks[index]
        x1, y1, x2, y2 = box.tolist()
        rows, columns = np.arange(96), np.arange(128)
        in_y = np.clip(np.minimum(y2, rows + 1) - np.maximum(y1, rows), 0, 1)
        in_x = np.clip(np.minimum(x2, columns + 1) - np.maximum(x1, columns), 0, 1)
        inside = (mask * in_y[:, None] * in_x).sum() / mask.sum()
        assert coverage.item() == pytest.approx(inside, abs=1e-4)
