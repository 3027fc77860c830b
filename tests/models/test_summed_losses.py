"""Sums of mmdet's mask losses by hand, and in a training step with and without a mask score."""

import math

import pytest
import torch
from mmdet.registry import MODELS

from ..conftest import tiny_model_cfg
from .hosts import batch_of, losses, predict

CE = dict(type='CrossEntropyLoss', use_sigmoid=True)
DICE = dict(type='DiceLoss', naive_dice=True, eps=1.0)
FOCAL = dict(type='FocalLoss', gamma=2.0, alpha=0.25)
# Two RoIs, two classes, masks of two pixels; the probabilities of the target classes are 3/4, 1/4
# on an object of one pixel, and 1/2, 1/2 on one of both.
LOGITS = torch.tensor([[[3.0, 1 / 3], [9, 9]], [[9, 9], [1, 1]]]).log()[..., None]
TARGETS = torch.tensor([[1.0, 0.0], [1.0, 1.0]])[..., None]
LABELS = torch.tensor([0, 1])


def summed(*parts, **kwargs):
    return MODELS.build(dict(type='SummedMaskLoss', losses=list(parts), **kwargs))


def value(*parts, **kwargs):
    return summed(*parts, **kwargs)(LOGITS, TARGETS, LABELS).item()


def test_cross_entropy_is_that_of_the_host():
    stock = MODELS.build(dict(type='CrossEntropyLoss', use_mask=True))
    assert value(CE) == pytest.approx(stock(LOGITS, TARGETS, LABELS).item())
    assert value(CE) == pytest.approx(-(2 * math.log(3 / 4) + 2 * math.log(1 / 2)) / 4)


def test_dice_is_one_minus_the_dice_of_each_mask():
    # (2 * 0.75 + 1) / (1 + 1 + 1) and (2 * 1 + 1) / (1 + 2 + 1)
    assert value(DICE) == pytest.approx(1 - (2.5 / 3 + 3 / 4) / 2)


def test_focal_weighs_what_is_well_predicted_less():
    first = 0.25 * 0.25**2 * -math.log(0.75), 0.75 * 0.25**2 * -math.log(0.75)
    second = 2 * 0.25 * 0.5**2 * -math.log(0.5)
    assert value(FOCAL) == pytest.approx((sum(first) + second) / 4)


def test_a_sum_adds_the_weighted_losses():
    found = value(dict(CE, loss_weight=3.0), DICE, loss_weight=0.5)
    assert found == pytest.approx(0.5 * (3 * value(CE) + value(DICE)))


def test_a_class_agnostic_mask_serves_every_class():
    loss = summed(CE, DICE)
    own = torch.stack([LOGITS[0, 0], LOGITS[1, 1]])[:, None]
    none = torch.zeros_like(LABELS)  # as mmdet's mask head gives them then
    torch.testing.assert_close(loss(own, TARGETS, none), loss(LOGITS, TARGETS, LABELS))


def test_half_precision_does_not_overflow():
    logits = torch.full((1, 1, 28, 28), 9.0, dtype=torch.half)
    loss = summed(CE, DICE)(logits, torch.ones(1, 28, 28), torch.zeros(1).long())
    assert loss.dtype == torch.float
    assert loss < 0.01


@pytest.mark.parametrize(
    ('part', 'name'),
    [
        (dict(type='CrossEntropyLoss', use_mask=True), 'CrossEntropyLoss'),
        (dict(type='MSELoss'), 'MSELoss'),
    ],
)
def test_losses_of_anything_but_logits_are_refused(part, name):
    with pytest.raises(ValueError, match=f'SummedMaskLoss of {name}: .*predicts logits'):
        summed(part)


@pytest.mark.parametrize('roi_head', ['StandardRoIHead', 'MSRoIHead'])
@pytest.mark.parametrize('parts', [[DICE], [CE, DICE], [dict(FOCAL, loss_weight=20.0), DICE]])
def test_a_step_of_the_hosts_mask_head_learns_from_them(parts, roi_head):
    cfg = tiny_model_cfg(roi_head)
    cfg.roi_head.mask_head.loss_mask = dict(type='SummedMaskLoss', losses=parts)
    model, batch = MODELS.build(cfg), batch_of(3, 0)
    model.init_weights()
    seen = []
    head = model.roi_head.mask_head
    head.loss_mask.register_forward_hook(lambda *given: seen.append(given[-1]))
    found = losses(model, batch)
    assert torch.equal(found['loss_mask'], *seen)
    assert ('loss_mask_iou' in found) == (roi_head == 'MSRoIHead')
    found['loss_mask'].backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in head.parameters())
    assert len(predict(model, batch)) == 2
    assert 'loss_mask' in losses(model, batch_of(0, 0))  # no object in view
