"""Lets each process of a run write its own losses; mmengine logs those of the first alone."""

import json
from pathlib import Path

from mmdet.registry import HOOKS
from mmengine.hooks import Hook


@HOOKS.register_module()
class LossProbe(Hook):
    """Writes losses and number of objects of each iteration to ``work_dir/rank<N>.jsonl``."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        line = {name: float(value) for name, value in outputs.items()}
        line['objects'] = sum(len(sample.gt_instances) for sample in data_batch['data_samples'])
        with Path(runner.work_dir, f'rank{runner.rank}.jsonl').open('a') as file:
            file.write(json.dumps(line) + '\n')
