import math
from itertools import permutations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.registry import MODELS

import projects.ablations.components  # noqa: F401  (registers them)

BCE = dict(type='CrossEntropyLoss', use_sigmoid=True, avg_non_ignore=True)
RANKING = dict(type='PairwiseRankingLoss', loss_weight=0.3)
L1, L2 = dict(type='L1Loss'), dict(type='MSELoss')
ALL = [
    dict(type='AboveIoULoss', min_iou=0.3, loss=L1),
    dict(type='SigmoidMSELoss'),
    RANKING,
    dict(type='SummedLoss', losses=[BCE, RANKING]),
]
PRED, TARGET = torch.tensor([0.5, 0.5, 0.5, 0.5]), torch.tensor([0.0, 0.3, 0.6, 0.9])


@pytest.mark.parametrize('cfg', ALL, ids=lambda cfg: cfg['type'])
def test_no_sample_is_a_loss_of_zero_with_a_gradient(cfg):
    none, pred = torch.zeros(0), torch.zeros(0, requires_grad=True)
    loss = MODELS.build(cfg)(pred, none, weight=none, avg_factor=torch.tensor(1.0))
    loss.backward()
    assert loss == 0


@pytest.mark.parametrize('cfg', ALL, ids=lambda cfg: cfg['type'])
def test_the_warm_up_reaches_its_weight(cfg):
    loss = MODELS.build(cfg)
    whole = loss(PRED, TARGET).item()
    loss.loss_weight = loss.loss_weight / 4
    assert loss(PRED, TARGET).item() == pytest.approx(whole / 4)


@pytest.mark.parametrize(
    ('min_iou', 'expected'),
    [(0, (0.2 + 0.1 + 0.4) / 3), (0.3, (0.1 + 0.4) / 2), (0.7, 0.4), (0.95, 0)],
)
def test_above_it_is_the_mean_over_what_lies_above(min_iou, expected):
    loss = MODELS.build(dict(type='AboveIoULoss', min_iou=min_iou, loss=L1))
    given = dict(weight=torch.ones(4), avg_factor=torch.tensor(4.0))
    assert loss(PRED, TARGET, **given).item() == pytest.approx(expected)
    assert loss(PRED, TARGET).item() == pytest.approx(expected)


@pytest.mark.parametrize('min_iou', [-0.1, 1])
def test_above_what_is_no_iou_is_refused(min_iou):
    with pytest.raises(ValueError, match='give an IoU in'):
        MODELS.build(dict(type='AboveIoULoss', min_iou=min_iou, loss=L1))


def test_sigmoid_l2_is_half_the_squared_error_of_the_sigmoid():
    loss = MODELS.build(dict(type='SigmoidMSELoss', loss_weight=0.5))
    assert loss.use_sigmoid
    logits, target = torch.tensor([0.0, 0.0]), torch.tensor([0.1, 0.8])
    assert loss(logits, target).item() == pytest.approx(0.5 * (0.4**2 + 0.3**2) / 2)


def naive_ranking(pred, target, weight):
    terms = [
        (weight[i] * weight[j], math.log1p(math.exp(pred[j] - pred[i])))
        for i, j in permutations(range(len(pred)), 2)
        if target[i] > target[j]
    ]
    total = sum(weight for weight, _ in terms)
    return sum(weight * value for weight, value in terms) / total if total else 0


samples = st.lists(
    st.tuples(st.floats(-5, 5), st.integers(0, 4), st.sampled_from([0.0, 0.5, 1.0])), max_size=6
)


@given(samples)
@settings(max_examples=40)
def test_ranking_is_that_of_a_loop_over_pairs(drawn):
    pred, grade, weight = torch.tensor(drawn, dtype=torch.double).reshape(-1, 3).unbind(1)
    loss = MODELS.build(dict(RANKING, loss_weight=1.0))(pred, grade / 4, weight=weight)
    expected = naive_ranking(pred.tolist(), grade.tolist(), weight.tolist())
    assert loss.item() == pytest.approx(expected, abs=1e-9)


def test_ranking_can_leave_out_near_targets():
    loss = MODELS.build(dict(RANKING, min_difference=0.1, loss_weight=2.0))
    found = loss(torch.tensor([0.0, 1.0, 2.0]), torch.tensor([0.9, 0.85, 0.1])).item()
    assert found == pytest.approx(math.log(1 + math.exp(2)) + math.log(1 + math.exp(1)), rel=1e-6)


def test_summed_is_the_sum():
    given = dict(weight=torch.tensor([1.0, 0.0, 1.0, 1.0]), avg_factor=torch.tensor(3.0))
    loss = MODELS.build(dict(type='SummedLoss', losses=[BCE, RANKING]))
    parts = [MODELS.build(cfg)(PRED, TARGET, **given) for cfg in (BCE, RANKING)]
    torch.testing.assert_close(loss(PRED, TARGET, **given), sum(parts))
    assert loss.use_sigmoid


@pytest.mark.parametrize(
    ('losses', 'named'), [([], 'no loss'), ([BCE, L1], 'CrossEntropyLoss, L1Loss')]
)
def test_summed_losses_of_different_predictions_are_refused(losses, named):
    with pytest.raises(ValueError, match=f'SummedLoss of {named}: give one or more'):
        MODELS.build(dict(type='SummedLoss', losses=losses))
