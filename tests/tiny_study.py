"""A study of tiny models on a tiny set; a training is two epochs of one iteration."""

from mmdet.registry import HOOKS
from mmengine.hooks import Hook

from projects.ablations.study import Row, Study

from .tested_models import model_cfg
from .tiny_set import run_config, write_tiny_set


def write_study(folder, **keys):
    """The trunk, and heads on it of which ``faster`` learns at another rate."""
    data = folder / 'set'
    write_tiny_set(data)
    for kind in ('mask_rcnn', 'ms_rcnn', 'plugin'):
        cfg = run_config(data, folder / 'unused', model=model_cfg(kind), epochs=2, batch_size=8)
        cfg.test_evaluator.pop('outfile_prefix')
        cfg.dump(folder / f'{kind}.py')
    base = str(folder / 'plugin.py')
    alone = {'custom_hooks': [dict(type='TrainMaskIoUHeadOnlyHook')]}
    faster = {**alone, 'optim_wrapper.optimizer.lr': 0.1}
    models = Study(
        'models',
        'Tiny models',
        'tiny',
        (
            Row('mask_rcnn', 'Mask R-CNN', str(folder / 'mask_rcnn.py')),
            Row('ms_rcnn', "mmdet's", str(folder / 'ms_rcnn.py'), test=base),
        ),
    )
    rows = (Row('head', 'a head', base, alone), Row('faster', 'a faster head', base, faster))
    heads = dict(trunk=models, compare_with='head', imports=('tests.tiny_study',))
    return {
        'models': models,
        'heads': Study('heads', 'Tiny heads', 'tiny', rows, **{**heads, **keys}),
    }


@HOOKS.register_module()
class FailOnceHook(Hook):
    """Ends the process at the second epoch, unless the file ``notes`` is there, which it leaves."""

    def __init__(self, notes):
        self._notes = notes

    def before_train_epoch(self, runner):
        with open(self._notes, 'a+') as stream:
            stream.write(f'{runner.epoch}')
            stream.seek(0)
            if stream.read() == '01':
                raise KeyboardInterrupt
