import sys

import pytest
from mmengine.hooks import LoggerHook
from mmengine.runner import Runner
from mmengine.runner.priority import get_priority
from torch import nn

from msrcnn_plugin.hooks import PredictionCostHook, prediction_cost_hook

from ..tiny_set import run_config, write_tiny_set
from .conftest import runner_of


class Clock:
    """Stands still but for what is said to pass."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now


class Model(nn.Module):
    """Takes the seconds it is told; 6 parameters."""

    def __init__(self, clock):
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.clock = clock

    def forward(self, seconds):
        self.clock.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(prediction_cost_hook, 'time', clock)
    return clock


def costs(clock, batches):
    """The metrics of a test of ``batches`` (images, seconds in the model, seconds after it)."""
    hook, runner, metrics = PredictionCostHook(), runner_of(Model(clock)), {'coco/segm_mAP': 0.5}
    hook.before_test_epoch(runner)
    for index, (images, seconds, after) in enumerate(batches):
        hook.before_test_iter(runner, index, dict(inputs=[None] * images))
        runner.model(seconds)
        clock.now += after
        hook.after_test_iter(runner, index)
    hook.after_test_epoch(runner, metrics)
    return metrics


def test_seconds_are_those_of_an_image_in_the_model(clock):
    batches = [(1, 9.0, 0.0), (2, 4.0, 30.0), (1, 1.0, 30.0)]
    assert costs(clock, batches)['cost/seconds_per_image'] == 2.0


def test_parameters_and_memory_stand_beside_the_other_metrics(clock):
    metrics = costs(clock, [(1, 0, 0)])
    assert metrics['cost/parameters'] == 6
    assert metrics['cost/peak_memory'] > 10 * 2**20
    assert metrics['coco/segm_mAP'] == 0.5


def test_a_test_without_images_costs_nothing(clock):
    assert costs(clock, []) == {'coco/segm_mAP': 0.5, 'cost/parameters': 6}


def test_nothing_is_left_in_the_model(clock):
    model = Model(clock)
    hook = PredictionCostHook()
    hook.before_test_epoch(runner_of(model))
    hook.after_test_epoch(runner_of(model), {})
    assert not model._forward_hooks


def test_the_peak_is_what_the_system_says(monkeypatch, tmp_path):
    status = tmp_path / 'status'
    status.write_text('Name:\tpython\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n')
    monkeypatch.setattr(prediction_cost_hook, 'STATUS', status)
    assert prediction_cost_hook.peak_resident_bytes() == 2048 * 1024


def test_a_system_that_does_not_say_is_asked_otherwise(monkeypatch, tmp_path):
    monkeypatch.setattr(prediction_cost_hook, 'STATUS', tmp_path / 'none')
    monkeypatch.setattr(prediction_cost_hook, 'RUSAGE_UNIT', 1024)
    resource = pytest.importorskip('resource', reason='this system has no rusage')
    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert prediction_cost_hook.peak_resident_bytes() >= 1024 * usage


def test_a_system_that_tells_nothing_has_no_peak(clock, monkeypatch, tmp_path):
    monkeypatch.setattr(prediction_cost_hook, 'STATUS', tmp_path / 'none')
    monkeypatch.setitem(sys.modules, 'resource', None)  # as on Windows
    assert prediction_cost_hook.peak_resident_bytes() is None
    assert costs(clock, [(1, 3.0, 0)]) == {
        'coco/segm_mAP': 0.5,
        'cost/seconds_per_image': 3.0,
        'cost/parameters': 6,
    }


def test_it_is_imported_without_what_windows_lacks():
    assert not hasattr(prediction_cost_hook, 'resource')


def test_it_comes_before_the_logger():
    assert get_priority(PredictionCostHook.priority) < get_priority(LoggerHook.priority)


def test_in_a_test_of_a_model(tmp_path):
    hooks = [dict(type='PredictionCostHook')]
    cfg = run_config(write_tiny_set(tmp_path / 'set'), tmp_path / 'run', custom_hooks=hooks)
    runner = Runner.from_cfg(cfg)
    metrics = runner.test()
    assert metrics['cost/seconds_per_image'] > 0
    assert metrics['cost/parameters'] == sum(p.numel() for p in runner.model.parameters())
