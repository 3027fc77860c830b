"""What a model's prediction costs, beside the figures of its test."""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch
from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

STATUS = Path('/proc/self/status')
# What ru_maxrss counts in.
RUSAGE_UNIT = 1 if sys.platform == 'darwin' else 1024


@HOOKS.register_module()
class PredictionCostHook(Hook):
    """Adds to the metrics of a test, of this process:

    - ``cost/seconds_per_image``: the median over the batches, from the batch's arrival to its
      predictions: preprocessing, network and pasting of the masks, not loading or evaluation;
    - ``cost/peak_memory``: bytes; on CUDA what torch's allocator held at most, else what the
      process held at most until its last prediction, libraries and data included; left out where
      the system does not tell;
    - ``cost/parameters``: how many numbers the model has learned.
    """

    # The logger, BELOW_NORMAL, writes what is added here.
    priority = 'NORMAL'

    def before_test_epoch(self, runner) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        self._parameters = sum(parameter.numel() for parameter in model.parameters())
        self._cuda = next(model.parameters()).is_cuda
        self._seconds: list[float] = []
        self._images = 1
        self._peak: int | None = None
        self._handle = model.register_forward_hook(self._predicted)
        if self._cuda:
            torch.cuda.reset_peak_memory_stats()

    def before_test_iter(self, runner, batch_idx: int, data_batch: Any = None) -> None:
        self._images = len(data_batch['inputs'])
        self._start = self._now()

    def after_test_iter(
        self, runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        # Here, as evaluation comes later and holds memory of its own.
        self._peak = torch.cuda.max_memory_allocated() if self._cuda else peak_resident_bytes()

    def after_test_epoch(self, runner, metrics: dict[str, float]) -> None:
        self._handle.remove()
        if self._seconds:
            metrics['cost/seconds_per_image'] = statistics.median(self._seconds)
        if self._peak is not None:
            metrics['cost/peak_memory'] = self._peak
        metrics['cost/parameters'] = self._parameters

    def _predicted(self, *_) -> None:
        self._seconds.append((self._now() - self._start) / self._images)

    def _now(self) -> float:
        if self._cuda:
            torch.cuda.synchronize()
        return time.perf_counter()


def peak_resident_bytes() -> int | None:
    """The most memory that this process ever held; None where the system does not tell."""
    # First what Linux tells: ru_maxrss begins with the peak of the process that started this one.
    peak = status_bytes('VmHWM')
    if peak is not None:
        return peak
    try:
        import resource
    except ImportError:  # Windows has none.
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RUSAGE_UNIT


def status_bytes(field: str) -> int | None:
    """A size, such as ``VmRSS``, that Linux tells of this process; None on another system."""
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(field)), None)
