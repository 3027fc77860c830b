"""What each of two processes does in the hooks' tests; a spawned process imports it by name."""

import json
from pathlib import Path

import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope

from msrcnn_plugin.hooks import MaskIoUMonitorHook, TrainMaskIoUHeadOnlyHook

from ..conftest import build_tiny_model
from ..models.hosts import batch_of
from .conftest import model_of, runner_of


def monitor_one_iteration(rank, folder, pairs):
    """See ``pairs[rank]``, (prediction, target, weight), and write what the monitor logs."""
    torch.distributed.init_process_group('gloo', f'file://{folder}/store', rank=rank, world_size=2)
    loss = MODELS.build(dict(type='MSELoss'))
    runner = runner_of(model_of(loss))
    runner.message_hub = MessageHub('monitor')
    hook = MaskIoUMonitorHook(interval=1)
    hook.before_train(runner)
    prediction, target, weight = pairs[rank]
    loss(prediction, target, weight=weight, avg_factor=1.0)
    hook.after_train_iter(runner, 0)
    scalars = runner.message_hub.log_scalars
    figures = {name: scalar.current() for name, scalar in scalars.items()}
    Path(folder, f'{rank}.json').write_text(json.dumps(figures))
    torch.distributed.destroy_process_group()


def train_head_only(rank, folder):
    """Train two steps with the hook, and write weights as sums, and the names of the losses."""
    init_default_scope('mmdet')
    torch.distributed.init_process_group('gloo', f'file://{folder}/store', rank=rank, world_size=2)
    torch.manual_seed(0)
    model = build_tiny_model()
    model.roi_head.mask_iou_head.count_zero_targets = True
    runner = runner_of(MMDistributedDataParallel(model))
    runner.configure_mock(
        optim_wrapper=OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1)),
        wrap_model=lambda _, model: MMDistributedDataParallel(model),
        cfg=Config(),
    )
    hook, before = TrainMaskIoUHeadOnlyHook(), sums(model)
    hook.before_run(runner)
    hook.after_load_checkpoint(runner, dict(state_dict=model.state_dict()))
    hook.before_train(runner)
    images, samples = batch_of(3 if rank == 0 else 0)
    for step in range(2):
        runner.model.train()
        hook.before_train_iter(runner, step)
        loss, log = model.parse_losses(runner.model(images, samples, mode='loss'))
        runner.optim_wrapper.update_params(loss)
    figures = dict(before=before, after=sums(model), losses=sorted(log))
    Path(folder, f'{rank}.json').write_text(json.dumps(figures))
    torch.distributed.destroy_process_group()


def sums(model):
    return {name: value.double().abs().sum().item() for name, value in model.state_dict().items()}
