"""The ranking head alone, its inputs, and its place in a model."""

import copy
import math
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.model import ExponentialMovingAverage
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint
from mmengine.structures import InstanceData

from msrcnn_plugin.models import MSMaskRankHead, calibrated_checkpoint, rank_inputs
from msrcnn_plugin.models.mask_forward import observe_final_masks
from msrcnn_plugin.models.mask_rank_head import RankLogits
from msrcnn_plugin.models.rank_inputs import NUMBERS, PAIRS

from ..conftest import build_tiny_model
from .hosts import HOST_WARNINGS, batch_of, build, tiny_host_cfg
from .test_roi_heads import losses, predict

pytestmark = HOST_WARNINGS
RANK = dict(type='MSMaskRankHead')
HOST_FIELDS = ('bboxes', 'scores', 'labels', 'masks')


def fitted_head(**options):
    """A head whose outputs differ from its inputs, as after fitting."""
    head = MSMaskRankHead(**options)
    torch.nn.init.normal_(head.out.weight)
    return head.eval()


def random_inputs(*shape):
    pairs = torch.rand(*shape, shape[-1], len(PAIRS))
    pairs[..., 3:] = (pairs[..., 3:] > 0.5).float()
    return torch.randn(*shape, len(NUMBERS)), pairs


# --- the head alone


def test_unfitted_it_returns_the_iou_and_the_product():
    numbers, pairs = random_inputs(5)
    ious, scores = torch.tensor([[0, 0.2, 0.5, 0.9, 1], [0.9, 0.5, 0.1, 0, 1]])
    numbers[:, :2] = torch.stack([ious, scores], 1).logit(1e-6)
    refined, unique = MSMaskRankHead().predict(numbers, pairs)
    torch.testing.assert_close(refined, ious, atol=1e-5, rtol=0)
    torch.testing.assert_close(unique, ious * scores, atol=1e-5, rtol=0)


def test_loss_by_hand():
    logits = RankLogits(torch.tensor([[0.0, math.log(3), 9]]), torch.tensor([[0.0, 0.0, 9]]))
    iou, unique = torch.tensor([[0.5, 1.0, 0.0]]), torch.tensor([[0.5, 0.0, 0.0]])
    counted = torch.tensor([[True, True, False]])
    losses = MSMaskRankHead(loss_weight=(1.0, 3.0)).loss(logits, iou, unique, counted)
    expected = (math.log(2) + math.log(4 / 3)) / 2
    assert losses['loss_rank_iou'].item() == pytest.approx(expected)
    assert losses['loss_rank_unique'].item() == pytest.approx(3 * math.log(2))


@pytest.mark.parametrize('count', [0, 3])
def test_loss_of_nothing_is_zero_with_a_gradient(count):
    head = MSMaskRankHead()
    numbers, pairs = random_inputs(2, count)
    nothing = torch.zeros(2, count, dtype=torch.bool)
    loss = head.loss(head(numbers, pairs, nothing), *torch.zeros(2, 2, count), nothing)
    sum(loss.values()).backward()
    assert sum(loss.values()) == 0
    assert head.embed.weight.grad.isfinite().all()


def test_learns_to_rank_down_the_worse_of_two():
    """Of two masks alike the better-scored one is the object's; only the pair tells which."""
    head = MSMaskRankHead(channels=16)
    numbers, pairs = torch.zeros(2, 2, len(NUMBERS)), torch.zeros(2, 2, 2, len(PAIRS))
    pairs[..., :4] = 1
    images, first = torch.arange(2), torch.arange(2)
    pairs[images, 1 - first, first, PAIRS.index('better_scored')] = 1
    numbers[images, first, NUMBERS.index('same_class_log_rank')] = 1
    unique, iou = torch.eye(2) * 0.8, torch.full((2, 2), 0.8)
    valid = torch.ones(2, 2, dtype=torch.bool)
    optimizer = torch.optim.Adam(head.parameters(), 0.01)
    for _ in range(60):
        loss = head.loss(head(numbers, pairs, valid), iou, unique, valid)
        optimizer.zero_grad()
        sum(loss.values()).backward()
        optimizer.step()
    logits = head(numbers, pairs, valid)
    torch.testing.assert_close(logits.unique.sigmoid(), unique, atol=0.05, rtol=0)
    torch.testing.assert_close(logits.iou.sigmoid(), iou, atol=0.05, rtol=0)


def test_a_pair_changes_the_result():
    head, (numbers, pairs) = fitted_head(), random_inputs(4)
    before = head.predict(numbers, pairs)
    pairs[0, 1, PAIRS.index('mask_iou')] += 1
    after = head.predict(numbers, pairs)
    assert before[1][0] != after[1][0]


def test_the_order_does_not_matter():
    head, (numbers, pairs) = fitted_head(), random_inputs(7)
    order = torch.randperm(7)
    moved = head.predict(numbers[order], pairs[order][:, order])
    for values, expected in zip(moved, head.predict(numbers, pairs)):
        torch.testing.assert_close(values, expected[order])


def test_padding_changes_nothing():
    head, (numbers, pairs) = fitted_head(), random_inputs(3, 6)
    valid = torch.arange(6) < torch.tensor([6, 4, 0])[:, None]
    head.set_statistics(numbers, valid)
    logits = head(numbers, pairs, valid)
    for i, count in enumerate((6, 4, 0)):
        alone = head.predict(numbers[i, :count], pairs[i, :count, :count])
        for batched, single in zip(logits, alone):
            torch.testing.assert_close(batched[i, :count].sigmoid(), single)


def test_statistics_are_those_of_the_detections():
    head = MSMaskRankHead()
    numbers, valid = torch.zeros(1, 3, len(NUMBERS)), torch.tensor([[True, True, False]])
    numbers[0, :, 0] = torch.tensor([1.0, 5, 99])
    head.set_statistics(numbers, valid)
    assert (head.mean[0], head.std[0]) == (3, 2)
    assert (head.mean[1], head.std[1]) == (0, 1)  # never changes
    with pytest.raises(ValueError, match='no detection'):
        head.set_statistics(numbers, valid & False)


@pytest.mark.parametrize('count', [0, 1, 1000])
def test_any_number_of_detections(count):
    with torch.no_grad():
        ious, unique = fitted_head().predict(*random_inputs(count))
    assert ious.shape == unique.shape == (count,)
    assert (ious.isfinite() & unique.isfinite()).all()


def test_autocast_gives_the_same():
    head, inputs = fitted_head(), random_inputs(5)
    expected = head.predict(*inputs)
    with torch.autocast('cpu', torch.bfloat16):
        result = head.predict(*inputs)
    assert [*map(torch.equal, result, expected)] == [True, True]


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match='channels=10 do not divide among num_heads=4'):
        MSMaskRankHead(channels=10)


# --- its inputs


def two_overlapping_and_one():
    masks = torch.zeros(3, 20, 30, dtype=torch.bool)
    masks[0, 2:12, 2:12] = masks[1, 2:12, 7:17] = masks[2, 10:18, 20:28] = True
    return InstanceData(
        bboxes=torch.tensor([[2.0, 2, 12, 12], [7, 2, 17, 12], [20, 10, 28, 18]]),
        scores=torch.tensor([0.9, 0.5, 0.1]),
        labels=torch.tensor([0, 0, 1]),
        masks=masks,
        mask_ious=torch.tensor([0.5, 0.8, 0.9]),
    )


def test_inputs_by_hand():
    numbers, pairs = rank_inputs(two_overlapping_and_one(), torch.full((3, 28, 28), 0.75))
    of = dict(zip(NUMBERS, numbers.T))
    torch.testing.assert_close(of['iou_logit'], torch.tensor([0.5, 0.8, 0.9]).logit())
    torch.testing.assert_close(of['score_logit'], torch.tensor([0.9, 0.5, 0.1]).logit())
    torch.testing.assert_close(of['log_mask_area'], torch.tensor([100.0, 100, 64]).log())
    torch.testing.assert_close(of['mean_mask_prob'], torch.full((3,), 0.75))
    better = of['same_class_better_score_logit']
    torch.testing.assert_close(better, torch.tensor([0, math.log(9), 0]), atol=1e-5, rtol=0)
    assert not of['other_class_max_iou'].any()
    expected = torch.eye(3)
    expected[0, 1] = expected[1, 0] = 1 / 3
    torch.testing.assert_close(pairs[..., PAIRS.index('mask_iou')], expected)
    assert pairs[1, 0, PAIRS.index('better_scored')] == 1


def test_the_mask_iou_head_makes_the_first_number_alone():
    results, probs = two_overlapping_and_one(), torch.rand(3, 28, 28)
    numbers, pairs = rank_inputs(results, probs)
    results.mask_ious = torch.tensor([0.1, 0.2, 0.3])
    others, same = rank_inputs(results, probs)
    assert torch.equal(pairs, same)
    assert (numbers[:, 0] != others[:, 0]).all()
    assert torch.equal(numbers[:, 1:], others[:, 1:])


def test_large_masks_are_thinned_out():
    small = torch.rand(3, 28, 28)
    large = small.repeat_interleave(8, 1).repeat_interleave(8, 2)  # 224 x 224, as PointRend's
    results = two_overlapping_and_one()
    assert torch.equal(rank_inputs(results, large).numbers, rank_inputs(results, small).numbers)


def test_soft_masks_are_refused():
    results = two_overlapping_and_one()
    results.masks = results.masks.byte()
    with pytest.raises(ValueError, match='mask_thr_binary'):
        rank_inputs(results, torch.rand(3, 28, 28))


# --- in a model


BATCH = batch_of(2, 0)


def ranked_model(model, **roi_head):
    """The same model with a ranking head, as fitting leaves it."""
    ranked = build_tiny_model(mask_rank_head=RANK, **roi_head)
    weights = fitted_head().state_dict(prefix='roi_head.mask_rank_head.')
    ranked.load_state_dict({**model.state_dict(), **weights})
    return ranked.eval()


class Models(NamedTuple):
    """A model without a ranking head, the same with one, and what both predict in BATCH."""

    plain: Any
    ranked: Any
    without: list
    expected: list


@pytest.fixture(scope='module')
def models():
    init_default_scope('mmdet')
    torch.manual_seed(0)
    plain = build_tiny_model()
    ranked = ranked_model(plain)
    return Models(plain, ranked, predict(plain, BATCH), predict(ranked, BATCH))


def test_the_host_stays_as_it_is_to_the_bit(models):
    for plain, ranked in zip(models.without, models.expected, strict=True):
        assert set(plain.keys()) == set(ranked.keys())
        assert len(plain) > 1
        for name in HOST_FIELDS:
            assert torch.equal(plain[name], ranked[name]), name
        for name in ('mask_ious', 'mask_scores'):
            assert ranked[name].shape == (len(plain),)
            assert ((ranked[name] >= 0) & (ranked[name] <= 1)).all()
            assert not torch.equal(plain[name], ranked[name]), name


def test_what_it_predicts_is_what_its_inputs_say(models):
    """Each image alone, from what a caller knows of its predictions."""
    with observe_final_masks(models.ranked.roi_head.mask_head) as mask_probs:
        predictions = predict(models.ranked, BATCH)
    for results, probs, plain in zip(predictions, mask_probs, models.without, strict=True):
        given = rank_inputs(plain, probs)
        ious, unique = models.ranked.roi_head.mask_rank_head.predict(*given)
        torch.testing.assert_close(results.mask_ious, ious)
        torch.testing.assert_close(results.mask_scores, unique)


def test_no_detections_have_the_same_fields(models):
    test_cfg = dict(models.ranked.roi_head.test_cfg, score_thr=2.0)
    with patch.object(models.ranked.roi_head, 'test_cfg', ConfigDict(test_cfg)):
        predictions = predict(models.ranked, BATCH)
    for results in predictions:
        assert set(results.keys()) == set(models.expected[0].keys())
        assert results.mask_ious.shape == results.mask_scores.shape == (0,)


@pytest.mark.parametrize('name', ['cascade_ms_rcnn_r50_fpn', 'point_rend_ms_rcnn_r50_fpn'])
def test_other_hosts(name):
    cfg = tiny_host_cfg(name)
    cfg.roi_head.mask_rank_head = RANK
    model = build(cfg)
    torch.nn.init.normal_(model.roi_head.mask_rank_head.out.weight)
    for results in predict(model, batch_of(2, 0)):
        assert len(results) > 0
        assert not torch.allclose(results.mask_scores, results.scores * results.mask_ious)


def test_class_agnostic_masks():
    cfg = tiny_host_cfg('ms_rcnn_r50_fpn')
    cfg.roi_head.mask_rank_head = RANK
    cfg.roi_head.mask_head.class_agnostic = True
    for results in predict(build(cfg), BATCH):
        assert results.mask_scores.shape == (len(results),)


def test_rescore_boxes_writes_u(models):
    rescoring = copy.deepcopy(models.ranked)
    rescoring.roi_head.rescore_boxes = True
    for results, expected in zip(predict(rescoring, BATCH), models.expected, strict=True):
        assert torch.equal(results.scores, expected.mask_scores)
        assert torch.equal(results.mask_scores, expected.mask_scores)


def test_calibration_maps_the_refined_iou(models):
    calibration = dict(type='MaskIoUCalibration')
    both = build_tiny_model(mask_rank_head=RANK, mask_iou_calibration=calibration)
    weights = calibrated_checkpoint(models.ranked.state_dict(), [0, 1], [0, 0.5])['state_dict']
    both.load_state_dict(weights)
    for results, expected in zip(predict(both, BATCH), models.expected, strict=True):
        torch.testing.assert_close(results.mask_ious, expected.mask_ious / 2)
        assert torch.equal(results.mask_scores, expected.mask_scores)


def test_reranking_by_the_calibrated_product_is_refused():
    calibration = dict(type='MaskIoUCalibration', rerank=True)
    with pytest.raises(ValueError, match='leave rerank out'):
        build_tiny_model(mask_rank_head=RANK, mask_iou_calibration=calibration)


def test_training_the_model_leaves_it_alone(models):
    plain, ranked = (losses(copy.deepcopy(model), BATCH) for model in models[:2])
    assert set(plain) == set(ranked)
    for name, value in plain.items():
        assert torch.equal(value, ranked[name]), name
    assert not any(p.requires_grad for p in models.ranked.roi_head.mask_rank_head.parameters())


# --- checkpoints


def test_a_checkpoint_keeps_everything(models, tmp_path):
    head = copy.deepcopy(models.ranked.roi_head.mask_rank_head)
    head.set_statistics(torch.randn(2, 5, len(NUMBERS)), torch.ones(2, 5, dtype=torch.bool))
    weights = {**models.ranked.state_dict(), **head.state_dict(prefix='roi_head.mask_rank_head.')}
    torch.save(dict(state_dict=weights, meta={}), tmp_path / 'fitted.pth')
    again = build_tiny_model(mask_rank_head=RANK)
    load_checkpoint(again, str(tmp_path / 'fitted.pth'), map_location='cpu', strict=True)
    inputs = random_inputs(5)
    for values, expected in zip(
        again.roi_head.mask_rank_head.predict(*inputs), head.predict(*inputs), strict=True
    ):
        assert torch.equal(values, expected)


def test_a_checkpoint_without_the_head_is_refused(models):
    ranked = copy.deepcopy(models.ranked)
    with pytest.raises(ValueError, match=r'roi_head\.mask_rank_head.*msrcnn fit, or leave'):
        ranked.load_state_dict(models.plain.state_dict())


def test_a_model_without_the_head_ignores_its_weights(models):
    plain = build_tiny_model()
    plain.load_state_dict(models.ranked.state_dict())
    assert torch.equal(
        plain.roi_head.mask_iou_head.fc_mask_iou.weight,
        models.ranked.roi_head.mask_iou_head.fc_mask_iou.weight,
    )
    # The calibration of a ranked model maps another IoU.
    calibrated = build_tiny_model(mask_iou_calibration=dict(type='MaskIoUCalibration'))
    with pytest.raises(ValueError, match='leave mask_iou_calibration out'):
        calibrated.load_state_dict(models.ranked.state_dict())


def test_weights_that_read_other_numbers_are_refused():
    weights = MSMaskRankHead().state_dict()
    names = ','.join((*NUMBERS[:-1], 'colour', *PAIRS)).encode()
    weights['input_names'] = torch.tensor([*names], dtype=torch.uint8)
    with pytest.raises(ValueError, match=f'differ in: colour, {NUMBERS[-1]}. Fit'):
        MSMaskRankHead().load_state_dict(weights)


@pytest.mark.parametrize('update_buffers', [False, True])
def test_an_average_of_equal_heads_predicts_alike(update_buffers):
    head, inputs = fitted_head(), random_inputs(5)
    averaged = ExponentialMovingAverage(head, update_buffers=update_buffers)
    for _ in range(2):
        averaged.update_parameters(head)
    for values, expected in zip(averaged.module.predict(*inputs), head.predict(*inputs)):
        torch.testing.assert_close(values, expected)
