"""What each of two processes does in the monitor's test; a spawned process imports it by name."""

import json
from datetime import timedelta
from pathlib import Path

import torch
from mmdet.registry import MODELS
from mmengine.logging import MessageHub

from msrcnn_plugin.hooks import MaskIoUMonitorHook

from .conftest import model_of, runner_of


def monitor_one_iteration(rank, folder, pairs):
    """See ``pairs[rank]``, (prediction, target, weight), and write what the monitor logs."""
    store, limit = f'file://{folder}/store', timedelta(minutes=3)
    torch.distributed.init_process_group('gloo', store, limit, world_size=2, rank=rank)
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
