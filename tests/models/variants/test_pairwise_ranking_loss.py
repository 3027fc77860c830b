import math
from itertools import permutations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.registry import MODELS


def ranking_loss(**kwargs):
    return MODELS.build(dict(type='PairwiseRankingLoss', **kwargs))


def test_of_three_samples():
    # Of (0.9, 0.5) and (0.9, 0.5) in the right order by 1 and 3, of (0.5, 0.5) nothing.
    loss = ranking_loss()(torch.tensor([2.0, 1.0, -1.0]), torch.tensor([0.9, 0.5, 0.5]))
    expected = (math.log(1 + math.exp(-1)) + math.log(1 + math.exp(-3))) / 2
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_near_targets_can_be_left_out():
    pred, target = torch.tensor([0.0, 1.0, 2.0]), torch.tensor([0.9, 0.85, 0.1])
    loss = ranking_loss(min_difference=0.1, loss_weight=2)(pred, target)
    expected = 2 * (math.log(1 + math.exp(2)) + math.log(1 + math.exp(1))) / 2
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def naive(pred, target, weight):
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
def test_is_that_of_a_loop_over_pairs(drawn):
    pred, grade, weight = torch.tensor(drawn, dtype=torch.double).reshape(-1, 3).unbind(1)
    loss = ranking_loss()(pred, grade / 4, weight=weight, avg_factor=torch.tensor(3.0))
    expected = naive(pred.tolist(), grade.tolist(), weight.tolist())
    assert loss.item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize('target', [[], [0.5], [0.3, 0.3]])
def test_without_a_pair_it_is_zero_and_has_a_gradient(target):
    pred = torch.randn(len(target), requires_grad=True)
    loss = ranking_loss()(pred, torch.tensor(target))
    loss.backward()
    assert loss == 0
    assert not pred.grad.any()


def test_its_step_parts_a_pair_in_the_wrong_order():
    pred = torch.tensor([0.0, 1.0], requires_grad=True)
    ranking_loss()(pred, torch.tensor([0.9, 0.2])).backward()
    assert pred.grad[0] < 0 < pred.grad[1]
