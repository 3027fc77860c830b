import json
import math

import numpy as np
import pytest
import torch
from mmdet.registry import HOOKS, MODELS
from mmengine.hooks import LoggerHook, RuntimeInfoHook
from mmengine.logging import MessageHub
from mmengine.runner.priority import get_priority
from torch import nn

from msrcnn_plugin.hooks import MaskIoUMonitorHook

from ..conftest import build_tiny_model
from .conftest import model_of, mse, runner_of
from .gloo_worker import monitor_one_iteration

FIGURES = ('positives', 'target', 'prediction', 'mae', 'correlation')


def random_pairs(count):
    """Prediction, target and weight, as the loss is given them; about a third do not count."""
    return torch.rand(count), torch.rand(count), (torch.rand(count) > 0.3).float()


def expected_figures(pairs, iterations):
    """The figures of ``pairs`` by numpy, from the pairs themselves."""
    prediction, target, weight = (np.concatenate(column).astype(float) for column in zip(*pairs))
    prediction, target = prediction[weight > 0], target[weight > 0]
    return dict(
        positives=len(target) / iterations,
        target=target.mean(),
        prediction=prediction.mean(),
        mae=np.abs(prediction - target).mean(),
        correlation=np.corrcoef(prediction, target)[0, 1],
    )


def monitored(hook, losses, iterations, start=0):
    """What the hook logs, {iteration: figures}; each of ``iterations`` has one item a loss."""
    runner = runner_of(model_of(*losses))
    hook.before_train(runner)
    logged = {}
    for runner.iter, pairs in enumerate(iterations, start):
        runner.message_hub = MessageHub('monitor')
        for loss, (prediction, target, weight) in zip(losses, pairs):
            loss(prediction, target, weight=weight, avg_factor=1.0)
        hook.after_train_iter(runner, 0)
        scalars = runner.message_hub.log_scalars
        if scalars:
            logged[runner.iter] = {name: scalar.current() for name, scalar in scalars.items()}
    hook.after_train(runner)
    return logged


def figures_of(prediction, target, weight=None):
    """Figures of one iteration."""
    prediction, target = torch.as_tensor(prediction), torch.as_tensor(target)
    weight = torch.ones_like(target) if weight is None else torch.as_tensor(weight)
    logged = monitored(MaskIoUMonitorHook(interval=1), [mse()], [[(prediction, target, weight)]])
    return {name: logged[0][f'train/mask_iou_{name}'] for name in FIGURES}


def figures_of_call(loss, *args):
    runner, hook = runner_of(model_of(loss)), MaskIoUMonitorHook(interval=1)
    runner.message_hub = MessageHub('monitor')
    hook.before_train(runner)
    loss(*args)
    hook.after_train_iter(runner, 0)
    return {name: value.current() for name, value in runner.message_hub.log_scalars.items()}


def test_registered_under_its_name():
    assert isinstance(HOOKS.build(dict(type='MaskIoUMonitorHook')), MaskIoUMonitorHook)


def test_figures_of_pairs_worked_out_by_hand():
    figures = figures_of([0.2, 0.4, 0.9], [0.1, 0.5, 0.0], [1.0, 1.0, 0.0])
    expected = dict(positives=2, target=0.3, prediction=0.3, mae=0.1, correlation=1)
    assert figures == pytest.approx(expected)


def test_logits_are_figures_of_iou():
    loss = MODELS.build(dict(type='CrossEntropyLoss', use_sigmoid=True, avg_non_ignore=True))
    iou = torch.tensor([0.2, 0.8])
    pairs = iou.logit(), torch.tensor([0.1, 0.5]), torch.ones(2)
    logged = monitored(MaskIoUMonitorHook(interval=1), [loss], [[pairs]])[0]
    assert logged['train/mask_iou_prediction'] == pytest.approx(0.5)
    assert logged['train/mask_iou_mae'] == pytest.approx(0.2)


def test_figures_of_a_window_are_numpys_of_all_its_pairs():
    windows = [[random_pairs(count) for count in counts] for counts in ([5, 0, 30], [7, 2, 1])]
    iterations = [[pairs] for window in windows for pairs in window]
    logged = monitored(MaskIoUMonitorHook(interval=3), [mse()], iterations)
    assert list(logged) == [2, 5]
    for figures, window in zip(logged.values(), windows):
        expected = expected_figures(window, iterations=3)
        assert figures == pytest.approx({f'train/mask_iou_{k}': v for k, v in expected.items()})


def test_positives_an_iteration_are_right_in_a_window_that_a_resumed_run_begins_late():
    pairs = [random_pairs(9) for _ in range(2)]
    logged = monitored(MaskIoUMonitorHook(interval=5), [mse()], [[pair] for pair in pairs], start=3)
    expected = expected_figures(pairs, iterations=2)['positives']
    assert logged[4]['train/mask_iou_positives'] == pytest.approx(expected)


def test_figures_of_two_heads_are_of_the_pairs_of_both():
    pairs = [random_pairs(8), random_pairs(5)]
    logged = monitored(MaskIoUMonitorHook(interval=1), [mse(), mse()], [pairs])
    expected = expected_figures(pairs, iterations=1)
    assert logged[0] == pytest.approx({f'train/mask_iou_{k}': v for k, v in expected.items()})


@pytest.mark.parametrize('weight', [[], [0.0, 0.0]], ids=['no pair', 'none counts'])
def test_without_positives_their_number_alone_is_defined(weight):
    figures = figures_of([0.5] * len(weight), [0.5] * len(weight), weight)
    assert figures.pop('positives') == 0
    assert all(math.isnan(figure) for figure in figures.values())


@pytest.mark.parametrize('broken', [math.nan, math.inf, -math.inf, 3e38])
def test_a_run_that_diverges_is_not_ended_by_its_figures(broken):
    figures = figures_of([0.5, broken], [0.5, 0.1])
    assert figures['positives'] == 2
    assert figures['target'] == pytest.approx(0.3)


def test_a_window_in_which_no_loss_was_called_takes_part_too():
    (figures,) = monitored(MaskIoUMonitorHook(interval=1), [mse()], [[]]).values()
    assert figures.pop('train/mask_iou_positives') == 0
    assert all(math.isnan(figure) for figure in figures.values())


def test_a_loss_without_weights_counts_every_pair():
    assert figures_of_call(mse(), torch.rand(4), torch.rand(4))['train/mask_iou_positives'] == 4


@pytest.mark.parametrize('count', [1, 2, 3, 7, 59])
@pytest.mark.parametrize('value', [0.1, 0.3, 0.7, 1.0])
def test_correlation_without_spread_is_undefined(count, value):
    same, other = [value] * count, torch.rand(count).tolist()
    for prediction, target in ((same, other), (other, same), (same, same)):
        figures = figures_of(prediction, target)
        assert math.isnan(figures.pop('correlation'))
        assert all(math.isfinite(figure) for figure in figures.values())


def test_correlation_of_a_small_spread_is_defined():
    target = 0.3 + 1e-3 * torch.rand(100)
    assert figures_of(target + 0.1, target)['correlation'] == pytest.approx(1, abs=1e-3)


def test_nothing_is_seen_after_training(runner, loss):
    hook = MaskIoUMonitorHook(interval=1)
    hook.before_train(runner)
    hook.after_train(runner)
    loss(*random_pairs(4))
    hook.after_train_iter(runner, 0)
    figures = {name: value for (name, value), _ in runner.message_hub.update_scalar.call_args_list}
    assert figures['train/mask_iou_positives'] == 0


def test_a_second_training_counts_each_pair_once():
    hook, loss = MaskIoUMonitorHook(interval=1), mse()
    for _ in range(2):
        logged = monitored(hook, [loss], [[(torch.rand(3), torch.rand(3), torch.ones(3))]])
        assert logged[0]['train/mask_iou_positives'] == 3


def test_the_loss_is_what_it_is_without_the_hook(runner, loss):
    prediction, target, weight = random_pairs(6)
    prediction.requires_grad_()
    alone = loss(prediction, target, weight=weight, avg_factor=2.0)
    MaskIoUMonitorHook().before_train(runner)
    watched = loss(prediction, target, weight=weight, avg_factor=2.0)
    assert torch.equal(alone, watched)
    assert watched.requires_grad


def test_sees_what_a_detector_learns_from(batch):
    model = build_tiny_model().train()
    runner = runner_of(model)
    runner.message_hub = MessageHub('monitor')
    hook = MaskIoUMonitorHook(interval=1)
    hook.before_train(runner)
    # Every mask is a box of ones: its IoU is not 0, and the positive counts.
    model.roi_head.mask_head.conv_logits.bias.data.fill_(50)
    model.loss(*batch)
    hook.after_train_iter(runner, 0)
    hub = runner.message_hub
    assert hub.get_scalar('train/mask_iou_positives').current() >= 3
    assert 0 < hub.get_scalar('train/mask_iou_target').current() < 1


def test_the_figures_stand_before_the_logger_reads_them():
    assert get_priority(MaskIoUMonitorHook.priority) < get_priority(LoggerHook.priority)
    assert get_priority(MaskIoUMonitorHook.priority) > get_priority(RuntimeInfoHook.priority)


def test_no_figure_has_a_name_that_mmengine_takes_for_a_loss():
    logged = monitored(MaskIoUMonitorHook(interval=1), [mse()], [[random_pairs(9)]])
    assert not any('loss' in name for name in logged[0])


@pytest.mark.parametrize('interval', [0, -5])
def test_an_interval_without_iterations_is_refused(interval):
    with pytest.raises(ValueError, match=f'interval={interval}; .* 1 or more'):
        MaskIoUMonitorHook(interval=interval)


def test_a_model_without_the_head_is_refused():
    with pytest.raises(ValueError, match='has no mask_iou_head'):
        MaskIoUMonitorHook().before_train(runner_of(nn.Module()))


def test_figures_are_of_the_pairs_of_all_processes(tmp_path):
    pairs = [random_pairs(12), random_pairs(5)]
    # This process is the first rank: another one less that has to import everything.
    spawn = torch.multiprocessing.get_context('spawn')
    second = spawn.Process(target=monitor_one_iteration, args=(1, str(tmp_path), pairs))
    second.start()
    monitor_one_iteration(0, str(tmp_path), pairs)
    second.join(timeout=60)
    assert second.exitcode == 0
    expected = expected_figures(pairs, iterations=1)
    for rank in (0, 1):
        figures = json.loads((tmp_path / f'{rank}.json').read_text())
        assert figures == pytest.approx({f'train/mask_iou_{k}': v for k, v in expected.items()})
