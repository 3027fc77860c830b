"""Detectors with mask scoring trained and tested as users do, and in two processes."""

import json
import math
import runpy
import sys
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import mmdet
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmdet.registry import MODELS
from mmengine.model import MMDistributedDataParallel, revert_sync_batchnorm
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope

from msrcnn_plugin.checkpoints import read_checkpoint

from ..tiny_set import run_config, write_tiny_set
from .any_hosts import HOST_WARNINGS, batch_of, build, stock_cfg, tiny_cfg

pytestmark = HOST_WARNINGS
HOSTS = ('rtmdet_ins_tiny', 'solov2_r50_fpn', 'yolact_r50', 'mask2former_r50')
TOOLS = Path(mmdet.__file__).parent / '.mim' / 'tools'  # what `mim train` and `mim test` run


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return write_tiny_set(tmp_path_factory.mktemp('data') / 'set')


def run(script, *words):
    with patch.object(sys, 'argv', [script, *map(str, words)]):
        runpy.run_path(str(TOOLS / script), run_name='__main__')


def logged(work_dir):
    (file,) = Path(work_dir).rglob('vis_data/*_*.json')
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.mark.parametrize('alone', [False, True], ids=['joint', 'alone'])
@pytest.mark.parametrize('name', HOSTS)
def test_mim_trains_and_tests(data, tmp_path, name, alone):
    if alone and name != 'rtmdet_ins_tiny':
        pytest.skip('one host is enough: the step is tested for each')
    model = tiny_cfg(name)
    model.data_preprocessor.pop('batch_augments', None)  # pads to 1024 x 1024
    changes = {}
    before = {}
    if alone:
        host = build_host(model)
        before = host.state_dict()
        torch.save(dict(state_dict=before), tmp_path / 'trained.pth')
        hooks = [dict(type='TrainMaskIoUHeadOnlyHook')]
        changes = dict(load_from=str(tmp_path / 'trained.pth'), custom_hooks=hooks)
    cfg = run_config(data, tmp_path / 'run', model=model, **changes)
    cfg.train_dataloader.dataset.indices = 4
    cfg.test_dataloader.dataset.indices = 3
    cfg.dump(tmp_path / 'config.py')
    run('train.py', tmp_path / 'config.py')
    lines = logged(tmp_path / 'run')
    assert len(lines) == 2
    assert all(math.isfinite(line['loss_mask_iou']) for line in lines)
    assert lines[0]['loss_mask_iou'] > 0
    assert (set(lines[0]) & {'loss_mask', 'loss_cls'} == set()) == alone
    checkpoint = tmp_path / 'run' / 'epoch_1.pth'
    after = read_checkpoint(checkpoint).weights
    assert all(torch.equal(after[key], value) for key, value in before.items())
    run('test.py', tmp_path / 'config.py', checkpoint, '--work-dir', tmp_path / 'tested')
    (file,) = (tmp_path / 'tested').glob('*/*.json')
    assert 'coco/segm_mAP' in json.loads(file.read_text())
    # Masks are ranked by the mask score.
    masks = json.loads((tmp_path / 'run' / 'results.segm.json').read_text())
    boxes = json.loads((tmp_path / 'run' / 'results.bbox.json').read_text())
    assert len(masks) == len(boxes) > 0
    assert [found['score'] for found in masks] != [found['score'] for found in boxes]


def build_host(cfg):
    host = MODELS.build(stock_cfg(cfg))
    host.init_weights()
    return host


def train_two_steps(name, rank):
    """The MaskIoU head's weights before and after, as sums, and its losses."""
    torch.manual_seed(0)
    model = revert_sync_batchnorm(build(tiny_cfg(name))).eval().requires_grad_(False)
    model.mask_iou_head.requires_grad_(True).train()
    model.only_mask_iou_loss = True
    if rank:
        head = model.bbox_head or model.mask_head
        head.test_cfg.score_thr = 2.0
    weights = list(model.mask_iou_head.parameters())
    before = [p.double().sum().item() for p in weights]
    # Without find_unused_parameters: a parameter that a process does not use fails the next step.
    wrapped = MMDistributedDataParallel(model)
    optim_wrapper = OptimWrapper(torch.optim.SGD(weights, lr=1e-2))
    losses = []
    for _ in range(2):
        loss, log = model.parse_losses(wrapped(*batch_of(3), mode='loss'))
        optim_wrapper.update_params(loss)
        losses.append(log['loss_mask_iou'].item())
    return before, [p.double().sum().item() for p in weights], losses


TWO = ('rtmdet_ins_tiny', 'solov2_r50_fpn')


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
        trained = {name: train_two_steps(name, rank) for name in TWO}
        (folder / f'{rank}.json').write_text(json.dumps(trained))
    finally:
        dist.destroy_process_group()


def test_processes_of_which_one_detects_nothing_stay_in_step(tmp_path):
    second = mp.get_context('spawn').Process(target=worker, args=(1, tmp_path))
    second.start()
    worker(0, tmp_path)
    second.join(timeout=120)
    assert second.exitcode == 0
    first, second = (json.loads((tmp_path / f'{rank}.json').read_text()) for rank in (0, 1))
    for name in TWO:
        before, after, losses = first[name]
        assert before != after
        assert second[name] == [before, after, [0.0, 0.0]]
        assert min(losses) > 0
