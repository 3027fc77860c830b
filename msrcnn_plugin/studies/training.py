"""The training of a run: mmengine's runner, from where an interrupted call left it."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Callable

import numpy as np
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner, find_latest_checkpoint
from mmengine.utils import import_modules_from_strings

from ..apis.scored_test import build_runner
from ..files import write_json
from ..hooks.prediction_cost_hook import peak_resident_bytes
from .study import StudyRun

SECONDS_BETWEEN_REPORTS = 1.0


class ReportHook(Hook):
    """Tells how many iterations are done, and of how many, about once a second."""

    priority = 'VERY_LOW'

    def __init__(self, report: Callable[[int, int], None]) -> None:
        self._report = report
        self._last = -SECONDS_BETWEEN_REPORTS

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        if time.monotonic() - self._last >= SECONDS_BETWEEN_REPORTS:
            self._last = time.monotonic()
            self._report(runner.iter + 1, runner.max_iters)


class PeakMemoryHook(Hook):
    """``peak``: most bytes held, of the GPU where one is used; NaN before the first iteration.

    Asked at every iteration, as the logger, BELOW_NORMAL, has CUDA count anew whenever it logs.
    """

    priority = 'NORMAL'

    def __init__(self) -> None:
        self.peak = math.nan

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        on_gpu = next(runner.model.parameters()).is_cuda
        held = torch.cuda.max_memory_allocated() if on_gpu else peak_resident_bytes()
        self.peak = max(float(held), self.peak)  # a NaN last is passed over


def train(run: StudyRun, provenance: Mapping[str, Any], report: Callable[[int, int], None]) -> None:
    """Train to the end, from the last checkpoint if there is one, and note what it cost.

    Args:
        provenance: what made it, to be noted, too.
        report: gets how many iterations are done, and of how many.
    """
    cfg = Config(run.cfg.to_dict())
    cfg.work_dir = str(run.train_folder)
    checkpoint = newest_checkpoint(run.train_folder)
    if checkpoint is not None:
        cfg.load_from, cfg.resume = str(checkpoint), True
    # In a new process: what reading the config's file imported is not there.
    import_modules_from_strings(**cfg.get('custom_imports', dict(imports=None)))
    runner = build_runner(cfg)
    memory = PeakMemoryHook()
    for hook in (memory, ReportHook(report)):
        runner.register_hook(hook)
    runner.train()
    checkpoint = newest_checkpoint(run.train_folder)
    if checkpoint is None:
        raise ValueError('the training left no checkpoint: its config needs a CheckpointHook')
    figures = dict(seconds_per_iter=seconds_per_iter(runner), peak_memory=memory.peak)
    trained = dict(checkpoint=checkpoint.name, figures=figures, provenance=provenance)
    write_json(run.trained_file, trained)


def seconds_per_iter(runner: Runner) -> float:
    """Median over the training, data included."""
    # The median: an epoch's first iteration waits for the data loader to start.
    return float(np.median(runner.message_hub.get_scalar('train/time').data[0]))


def newest_checkpoint(folder: Path) -> Path | None:
    """The last one that was saved to the end; None before the first."""
    saved = find_latest_checkpoint(str(folder))
    if not saved:
        return None
    # By its name: the path in it is wrong once the folder has been moved.
    path = folder / Path(saved).name
    return path if path.is_file() else None
