"""Training as users start it: `mim train`, and several processes."""

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import mmdet
import pytest
import torch
from mmdet.registry import MODELS
from mmengine import Config

from msrcnn_plugin import compat
from msrcnn_plugin.checkpoints import read_checkpoint

from .coco_folder import lay_out_coco
from .conftest import tiny_model_cfg
from .tiny_set import run_config, write_tiny_set

REPOSITORY = Path(__file__).resolve().parent.parent
# Our configs run in several processes on a machine without a GPU, too.
IMPORTS = Config.fromfile(REPOSITORY / 'configs/_base_/mask_scoring.py').custom_imports.imports
TORCHRUN = [sys.executable, '-m', 'torch.distributed.run', '--standalone']
TRAIN_SCRIPT = Path(mmdet.__file__).parent / '.mim' / 'tools' / 'train.py'


def start(command, cwd, timeout=480):
    """Run a command on the CPU and return what it prints; where it hangs, all of it is ended."""
    path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get('PYTHONPATH')]))
    environment = dict(os.environ, PYTHONPATH=path, CUDA_VISIBLE_DEVICES='', OMP_NUM_THREADS='1')
    process = subprocess.Popen(
        [str(word) for word in command],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        pytest.fail(f'still running after {timeout} s:\n{output[-4000:]}')
    assert process.returncode == 0, output[-4000:]
    return output


def on_two_processes(config):
    return [*TORCHRUN, '--nproc_per_node=2', TRAIN_SCRIPT, config, '--launcher', 'pytorch']


def test_a_process_without_objects_trains_beside_one_with(tmp_path):
    cfg = run_config(
        write_tiny_set(tmp_path / 'set'),
        tmp_path / 'run',
        batch_size=1,
        # mmdet's default backend, which needs a GPU: cpu_launcher puts gloo in its place.
        env_cfg=dict(dist_cfg=dict(backend='nccl', timeout=120)),
        custom_hooks=[dict(type='LossProbe'), dict(type='MaskIoUMonitorHook', interval=1)],
        custom_imports=dict(imports=[*IMPORTS, 'tests.loss_probe']),
    )
    cfg.dump(tmp_path / 'config.py')
    start(on_two_processes(tmp_path / 'config.py'), tmp_path)
    ranks = [(tmp_path / 'run' / f'rank{rank}.jsonl').read_text().splitlines() for rank in (0, 1)]
    first, second = ([json.loads(line) for line in lines] for lines in ranks)
    assert [line['objects'] > 0 for line in first] == [True, True, True, False]
    assert [line['objects'] for line in second] == [0, 0, 0, 0]
    for line in first + second:
        assert math.isfinite(line['loss_mask_iou'])
    assert max(line['loss_mask_iou'] for line in first) > 0
    assert {line['loss_mask_iou'] for line in second} == {0}


def test_the_head_alone_trains_in_two_processes(tmp_path):
    plain = MODELS.build(tiny_model_cfg('StandardRoIHead'))
    plain.init_weights()
    torch.save(dict(state_dict=plain.state_dict()), tmp_path / 'mask_rcnn.pth')
    cfg = run_config(
        write_tiny_set(tmp_path / 'set'),
        tmp_path / 'run',
        batch_size=1,
        env_cfg=dict(dist_cfg=dict(backend='nccl', timeout=120)),
        custom_hooks=[dict(type='TrainMaskIoUHeadOnlyHook'), dict(type='LossProbe')],
        custom_imports=dict(imports=[*IMPORTS, 'tests.loss_probe']),
        load_from=str(tmp_path / 'mask_rcnn.pth'),
    )
    cfg.dump(tmp_path / 'config.py')
    start(on_two_processes(tmp_path / 'config.py'), tmp_path)
    for rank in (0, 1):
        lines = (tmp_path / 'run' / f'rank{rank}.jsonl').read_text().splitlines()
        assert len(lines) == 4
        for line in map(json.loads, lines):
            assert set(line) == {'loss', 'loss_mask_iou', 'objects'}
            assert math.isfinite(line['loss_mask_iou'])
    after = read_checkpoint(tmp_path / 'run' / 'epoch_1.pth').weights
    assert all(torch.equal(after[name], value) for name, value in plain.state_dict().items())
    assert {name for name in after if name not in plain.state_dict()} == {
        name for name in after if '.mask_iou_head.' in name
    }


# The config as it is, with a model that two cores can train and nothing to download.
SHRINK = """
    model.backbone.depth=18 model.backbone.base_channels=8 model.backbone.init_cfg=None
    model.neck.in_channels=[8,16,32,64] train_dataloader.dataset.pipeline.2.scale=(128,128)
    test_dataloader.dataset.pipeline.1.scale=(128,128) train_dataloader.num_workers=0
    train_dataloader.persistent_workers=False test_dataloader.num_workers=0
    test_dataloader.persistent_workers=False train_cfg.max_epochs=1 val_cfg=None val_dataloader=None
    val_evaluator=None default_hooks.logger.interval=1 default_hooks.checkpoint.save_optimizer=False
    model.train_cfg.rcnn.sampler.num=64 model.test_cfg.rcnn.score_thr=0
    model.test_cfg.rcnn.max_per_img=5
""".split()
TTA = """
    tta_model.type=MSTTAModel tta_model.tta_cfg.max_per_img=5
    tta_model.tta_cfg.nms.type=nms tta_model.tta_cfg.nms.iou_threshold=0.5
""".split()


def mim(verb, *words, changes=()):
    # In the environment that runs the tests, which need not be activated.
    config = REPOSITORY / 'configs' / 'ms_rcnn_r101_fpn.py'
    return [
        Path(sys.executable).with_name('mim'),
        verb,
        compat.mim_package(),
        config,
        *words,
        '--cfg-options',
        *SHRINK,
        *changes,
    ]


def test_mim_trains_and_tests_the_papers_config_on_a_coco_folder(tmp_path):
    lay_out_coco(tmp_path)
    start(mim('train', '--work-dir', 'run'), tmp_path)
    (log,) = (tmp_path / 'run').rglob('vis_data/scalars.json')
    scalars = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(scalars) >= 2
    for line in scalars:
        assert math.isfinite(line['loss'])
        assert math.isfinite(line['loss_mask_iou'])
    output = start(mim('test', '--checkpoint', 'run/epoch_1.pth', '--work-dir', 'tested'), tmp_path)
    assert 'coco/segm_mAP' in output
    # Each image also flipped, which mmdet's own tta_model refuses for masks.
    words = ('--checkpoint', 'run/epoch_1.pth', '--work-dir', 'merged', '--tta')
    assert 'coco/segm_mAP' in start(mim('test', *words, changes=TTA), tmp_path)
