"""What the predictions of a model cost, measured while it is tested."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import nn

from ..memory import peak_bytes, reset_peak


@contextmanager
def measured_predictions(model: nn.Module) -> Iterator[dict[str, float]]:
    """Measures the predictions (``test_step``) of a model in this block.

    Yields:
        filled at the end of the block: ``cost/seconds_per_image``, the median over the batches of
        preprocessing, network and pasting of the masks; ``cost/extra_memory``, the most bytes held
        beyond those held at the start, left out where the system does not report it;
        ``cost/parameters``, the number of learned values.
    """
    device = next(model.parameters()).device
    costs: dict[str, float] = {'cost/parameters': sum(p.numel() for p in model.parameters())}
    seconds: list[float] = []
    peaks: list[int] = []
    predict: Any = model.test_step
    held = reset_peak(device)

    def now() -> float:
        if device.type == 'cuda':
            torch.cuda.synchronize(device)
        return time.perf_counter()

    def timed(data: Any) -> Any:
        start = now()
        results = predict(data)
        seconds.append((now() - start) / len(results))
        if held is not None:
            peaks.append(peak_bytes(device) - held)
        return results

    with patch.object(model, 'test_step', timed):
        yield costs
    if seconds:
        costs['cost/seconds_per_image'] = statistics.median(seconds)
    if peaks:
        costs['cost/extra_memory'] = max(0, *peaks)
