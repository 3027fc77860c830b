import pytest
import torch
from mmdet.registry import HOOKS
from torch import nn

from msrcnn_plugin.hooks import MaskIoULossWarmupHook

from .conftest import model_of, mse, runner_of


def weights_over(hook, runner, iterations, epoch_length=None):
    """Loss weight of the first head in each of ``iterations``, as a training loop would meet it."""
    loss = runner.model.roi_head.mask_iou_head.loss_iou
    hook.before_train(runner)
    weights = []
    for runner.iter in iterations:
        if epoch_length:
            runner.epoch = runner.iter // epoch_length
        hook.before_train_iter(runner, 0)
        weights.append(loss.loss_weight)
    return weights


def test_registered_under_its_name():
    assert isinstance(
        HOOKS.build(dict(type='MaskIoULossWarmupHook', length=3)), MaskIoULossWarmupHook
    )


def test_ramps_from_nothing_to_the_weight_and_stays(runner):
    weights = weights_over(MaskIoULossWarmupHook(length=4), runner, range(6))
    assert weights == [0, 0.125, 0.25, 0.375, 0.5, 0.5]


def test_ramps_from_the_start_factor(runner):
    weights = weights_over(MaskIoULossWarmupHook(length=2, start_factor=0.5), runner, range(4))
    assert weights == [0.25, 0.375, 0.5, 0.5]


def test_start_factor_one_changes_nothing(runner):
    assert (
        weights_over(MaskIoULossWarmupHook(length=9, start_factor=1), runner, range(3)) == [0.5] * 3
    )


def test_by_epoch_the_weight_changes_between_epochs_alone(runner):
    hook = MaskIoULossWarmupHook(length=2, by_epoch=True)
    weights = weights_over(hook, runner, range(9), epoch_length=3)
    assert weights == [0] * 3 + [0.25] * 3 + [0.5] * 3


def test_a_resumed_run_goes_on_where_it_stopped(runner):
    assert weights_over(MaskIoULossWarmupHook(length=4), runner, [3, 4]) == [0.375, 0.5]


def test_the_weight_reaches_the_loss(runner, loss):
    weights_over(MaskIoULossWarmupHook(length=4), runner, [1])
    assert loss(torch.tensor([1.0]), torch.tensor([0.0])).item() == 0.125


def test_training_ends_with_the_weight_it_began_with(runner, loss):
    hook = MaskIoULossWarmupHook(length=100)
    for _ in range(2):
        assert weights_over(hook, runner, [10])[-1] == pytest.approx(0.05)
        hook.after_train(runner)
        assert loss.loss_weight == 0.5


def test_every_stage_keeps_its_own_weight():
    first, second = mse(0.5), mse(2.0)
    runner = runner_of(model_of(first, second), iteration=1)
    hook = MaskIoULossWarmupHook(length=2)
    hook.before_train(runner)
    hook.before_train_iter(runner, 0)
    assert (first.loss_weight, second.loss_weight) == (0.25, 1.0)
    hook.after_train(runner)
    assert (first.loss_weight, second.loss_weight) == (0.5, 2.0)


@pytest.mark.parametrize('length', [0, -1])
def test_a_length_without_iterations_is_refused(length):
    with pytest.raises(ValueError, match=f'length={length}; .* 1 or more'):
        MaskIoULossWarmupHook(length=length)


@pytest.mark.parametrize('start_factor', [-0.1, 1.1, float('nan')])
def test_a_start_factor_that_is_no_share_is_refused(start_factor):
    with pytest.raises(ValueError, match=rf'start_factor={start_factor}; .* in \[0, 1\]'):
        MaskIoULossWarmupHook(length=1, start_factor=start_factor)


def test_a_model_without_the_head_is_refused():
    with pytest.raises(ValueError, match='has no mask_iou_head'):
        MaskIoULossWarmupHook(length=1).before_train(runner_of(nn.Module()))


def test_a_loss_without_a_weight_is_refused_by_name():
    runner = runner_of(model_of(mse(), nn.HuberLoss()))
    with pytest.raises(ValueError, match='HuberLoss has no loss_weight'):
        MaskIoULossWarmupHook(length=1).before_train(runner)
