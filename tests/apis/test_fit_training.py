"""The loop that trains the two heads, and how time is divided between them."""

import math
import time

import pytest
import torch
from torch import nn

from msrcnn_plugin.apis.fit import fit_scores, training
from msrcnn_plugin.apis.fit.training import Pace, train
from msrcnn_plugin.models import MSMaskIoUHead


def line(file, pace, *, stop=math.inf):
    """Trains a line to be 1 at random places; a step past ``stop`` is interrupted."""
    torch.manual_seed(0)
    module = nn.Linear(2, 1)

    def loss_of(step):
        if step > stop:
            raise KeyboardInterrupt
        generator = torch.Generator().manual_seed(step)
        return (module(torch.rand(8, 2, generator=generator)) - 1).square().mean()

    before = loss_of(0).item()
    steps = train('a line', module, loss_of, pace, file, lr=0.05)
    return steps, before, loss_of(0).item(), module.weight


def test_steps_end_a_training_and_it_learns(tmp_path):
    steps, before, after, _ = line(tmp_path / 'state.pth', Pace(50))
    assert steps == 50
    assert after < 0.2 * before


def test_seconds_end_a_training(tmp_path):
    begin = time.monotonic()
    steps, *_ = line(tmp_path / 'state.pth', Pace(10**9, 0.2))
    assert time.monotonic() - begin >= 0.2
    assert 1 <= steps < 10**9


def test_an_interrupted_training_ends_as_if_it_had_not_been(tmp_path, monkeypatch):
    monkeypatch.setattr(training, 'SAVED_AFTER', 0.0)
    *_, whole = line(tmp_path / 'whole.pth', Pace(20))
    with pytest.raises(KeyboardInterrupt):
        line(tmp_path / 'state.pth', Pace(20), stop=12)
    steps, *_, resumed = line(tmp_path / 'state.pth', Pace(20))
    assert steps == 20
    assert torch.equal(resumed, whole)


def test_a_finished_training_is_not_repeated(tmp_path):
    *_, weight = line(tmp_path / 'state.pth', Pace(20))
    steps, *_, again = line(tmp_path / 'state.pth', Pace(20), stop=0)
    assert steps == 20
    assert torch.equal(again, weight)


@pytest.mark.parametrize('fast', [False, True])
def test_bfloat16_changes_predictions_little_and_learns(monkeypatch, fast):
    monkeypatch.setattr(training, 'computes_in_bfloat16', lambda: fast)
    torch.manual_seed(0)
    head = MSMaskIoUHead(in_channels=8, roi_feat_size=14, num_classes=2)
    feats, probs = torch.rand(16, 8, 14, 14), torch.rand(16, 28, 28)
    predicted = training._forward(head, feats, probs)
    assert predicted.dtype == torch.float32
    assert torch.equal(predicted, head(feats, probs)) != fast
    torch.testing.assert_close(predicted, head(feats, probs), atol=0.01, rtol=0.02)
    predicted.sum().backward()
    assert all(weight.grad.dtype == torch.float32 for weight in head.parameters())


def schedule_of(folder, steps, *stages):
    return fit_scores._Schedule(folder, steps, 0.0, 100.0, 'key', stages)


def test_minutes_are_divided_between_the_stages(tmp_path, monkeypatch):
    now = 0.0
    monkeypatch.setattr(fit_scores.time, 'monotonic', lambda: now)
    schedule = schedule_of(tmp_path, None, 'half_0', 'half_1', 'head')
    for stage, seconds in dict(half_0=20, half_1=20, head=40, rank=12).items():
        pace, _ = schedule.of(stage, 1280)
        assert pace.seconds == pytest.approx(seconds)
        now += pace.seconds
    assert now < 100  # something is left to predict and judge
    assert pace.steps == 10 * fit_scores.EPOCHS


def test_what_a_half_takes_to_predict_comes_out_of_all_that_follow(tmp_path, monkeypatch):
    now = 0.0
    monkeypatch.setattr(fit_scores.time, 'monotonic', lambda: now)
    schedule = schedule_of(tmp_path, None, 'half_0', 'half_1', 'head')
    for stage, seconds, predicting in (('half_0', 20, 6), ('half_1', 18, 6), ('head', 30, 0)):
        pace, _ = schedule.of(stage, 1280)
        assert pace.seconds == pytest.approx(seconds)
        now += pace.seconds + predicting


@pytest.mark.parametrize('processes', [1, 2, 3, 4])
def test_processes_train_each_head_once_and_the_first_that_of_all_images(
    tmp_path, monkeypatch, processes
):
    monkeypatch.setattr(fit_scores.time, 'monotonic', lambda: 0.0)
    monkeypatch.setattr(fit_scores, 'get_world_size', lambda: processes)
    trained = []
    for rank in range(processes):
        monkeypatch.setattr(fit_scores, 'get_rank', lambda rank=rank: rank)
        stages = fit_scores._stages()
        schedule = schedule_of(tmp_path, None, *stages)
        trained.append([(stage, schedule.of(stage)[0].seconds) for stage in stages])
    names = [stage for stages in trained for stage, _ in stages]
    assert sorted(names) == ['half_0', 'half_1', 'head']
    assert 'head' in dict(trained[0])
    assert all(stages[-1][1] == pytest.approx(80) for stages in trained if stages)


def test_steps_are_those_of_the_last_head(tmp_path):
    schedule = schedule_of(tmp_path, 5, 'half_0', 'half_1', 'head')
    paces = {stage: schedule.of(stage)[0] for stage in ('half_0', 'half_1', 'head')}
    assert paces['head'] == Pace(5, math.inf)
    assert paces['half_0'] == paces['half_1'] == Pace(3, math.inf)
