"""A study of three tiny models that takes two iterations a run, and ways to interrupt it."""

import os
import signal
from functools import cache
from pathlib import Path

from mmdet.registry import HOOKS
from mmengine.hooks import Hook

from .tested_models import model_cfg
from .tiny_set import run_config, write_tiny_set

KINDS = ('mask_rcnn', 'ms_rcnn', 'plugin')
RUNS = {
    'mask_rcnn': dict(title='Mask R-CNN', base='mask_rcnn.py'),
    'ms_rcnn': dict(title="mmdet's", base='ms_rcnn.py', test='plugin.py'),
    'plugin': dict(
        title='ours',
        paper='section 3.2',
        base='plugin.py',
        changes={'optim_wrapper.optimizer.lr': 0.02},
    ),
}


def write_study(folder, *names, seeds=(0,), **changes):
    """A study file of some of `RUNS`, with its configs and its data; ``changes`` are its keys."""
    data = folder / 'set'
    if not data.is_dir():
        write_tiny_set(data)
    for kind in KINDS:
        (folder / f'{kind}.py').write_text(config_text(kind).replace('FOLDER', str(folder)))
    keys = dict(title='Tiny', size='cpu', seeds=seeds, runs={n: RUNS[n] for n in names})
    path = folder / 'study.py'
    path.write_text(as_config({**keys, **changes}))
    return path


@cache
def config_text(kind):
    """A config of two iterations on the set in FOLDER; made once, as its host's takes a second."""
    cfg = run_config('FOLDER/set', 'FOLDER/run', model=model_cfg(kind), epochs=2, batch_size=8)
    cfg.test_evaluator.pop('outfile_prefix')
    return as_config(cfg.to_dict())


def as_config(content):
    return ''.join(f'{key} = {value!r}\n' for key, value in content.items())


def stops_once(notes, how):
    """What makes a run stop once at its second epoch; ``how`` is 'kill' or 'interrupt'."""
    return {
        'custom_imports.imports': ['msrcnn_plugin', 'tests.tiny_study'],
        'custom_hooks': [dict(type='StopOnceHook', notes=str(notes), how=how)],
    }


@HOOKS.register_module()
class StopOnceHook(Hook):
    """Notes each epoch that begins; the first time that the second one does, it is the last."""

    def __init__(self, notes, how):
        self._notes, self._how = Path(notes), how

    def before_train_epoch(self, runner):
        before = self._notes.read_text() if self._notes.exists() else ''
        self._notes.write_text(f'{before}{runner.epoch}')
        if runner.epoch == 1 and '1' not in before:
            if self._how == 'interrupt':
                raise KeyboardInterrupt
            os.kill(os.getpid(), signal.SIGKILL)
