"""Every host under DistributedDataParallel, one of two processes without an object."""

import json
from datetime import timedelta

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope

from .hosts import HOST_WARNINGS, HOSTS, batch_of, build, tiny_host_cfg

pytestmark = HOST_WARNINGS


def train_two_steps(name, rank):
    """The host's weights before and after, as sums, and its losses."""
    torch.manual_seed(0)
    model = build(tiny_host_cfg(name)).train()
    images, samples = batch_of(0 if rank else 3)
    before = [p.double().sum().item() for p in model.parameters()]
    # Without find_unused_parameters: a parameter that a process does not use fails the next step.
    wrapped = MMDistributedDataParallel(model)
    optim_wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1e-3))
    for _ in range(2):
        loss, log = model.parse_losses(wrapped(images, samples, mode='loss'))
        optim_wrapper.update_params(loss)
    after = [p.double().sum().item() for p in model.parameters()]
    return before, after, {key: value.item() for key, value in log.items()}


def worker(rank, folder):
    init_default_scope('mmdet')
    dist.init_process_group(
        'gloo',
        init_method=f'file://{folder}/store',
        rank=rank,
        world_size=2,
        timeout=timedelta(minutes=3),
    )
    try:
        trained = {name: train_two_steps(name, rank) for name in HOSTS}
        (folder / f'{rank}.json').write_text(json.dumps(trained))
    finally:
        dist.destroy_process_group()


def test_processes_stay_in_step(tmp_path):
    # This process is the first rank: another one less that has to import everything.
    second = mp.get_context('spawn').Process(target=worker, args=(1, tmp_path))
    second.start()
    worker(0, tmp_path)
    second.join(timeout=60)
    assert second.exitcode == 0
    with_objects, without = (json.loads((tmp_path / f'{rank}.json').read_text()) for rank in (0, 1))
    for name in HOSTS:
        before, after, log = with_objects[name]
        assert before != after, name
        assert without[name][:2] == [before, after], name
        mask_iou_losses = {key for key in log if 'mask_iou' in key}
        assert mask_iou_losses, name
        assert all(without[name][2][key] == 0 < log[key] for key in mask_iou_losses), name
