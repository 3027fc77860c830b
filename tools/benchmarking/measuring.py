"""Time and peak memory of cases, and what follows from them.

Times of different minutes of a machine say little about each other, so the cases of a section take
turns, and ratios are those of calls that followed each other.
"""

import gc
import statistics
import time
from pathlib import Path

import torch

from msrcnn_plugin.hooks.prediction_cost_hook import peak_resident_bytes, status_bytes

PROC = Path('/proc/self')


def interleave(cases, scene, rounds, device, after_call=lambda: None):
    """Seconds and, on CUDA, peak bytes of each call: {case: (seconds [rounds], bytes or None)}.

    A round that warms up comes first and does not count. The case that begins changes from round to
    round, so that none always follows the same one.
    """
    names = list(cases)
    seconds, peaks = {name: [] for name in names}, {name: [] for name in names}
    gc.collect()
    gc.freeze()  # what is there now need not be searched after each round
    for number in range(rounds + 1):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            elapsed, peak = timed_call(cases[name], scene, device)
            if number:
                seconds[name].append(elapsed)
                peaks[name].append(peak)
            after_call()
        gc.collect()
    gc.unfreeze()
    cuda = device == 'cuda'
    return {name: (seconds[name], max(peaks[name]) if cuda else None) for name in names}


def timed_call(case, scene, device):
    """Seconds of one call, and on CUDA the most bytes it held beyond those held before."""
    inputs = case.inputs(scene)
    gc.disable()
    try:
        before = _start_of_call(device)
        start = time.perf_counter()
        case.run(*inputs)
        if device == 'cuda':
            torch.cuda.synchronize()
        elapsed = time.perf_counter() - start
    finally:
        gc.enable()
    peak = torch.cuda.max_memory_allocated() - before if device == 'cuda' else None
    return elapsed, peak


def _start_of_call(device):
    if device != 'cuda':
        return None
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    return torch.cuda.memory_allocated()


# --- peak memory of this process, for a child that measures one case -----------------------------


def peak_of_call(case, scene, warm_up_scene):
    """The most bytes that one call held beyond those held before; None where that cannot be told.

    What is loaded at a first call is loaded on a scene that needs next to no memory.
    """
    case.run(*case.inputs(warm_up_scene))
    inputs = case.inputs(scene)
    gc.collect()
    exact = reset_peak()
    earlier_peak = peak_resident_bytes()
    if earlier_peak is None:
        return None
    before = status_bytes('VmRSS') or earlier_peak
    case.run(*inputs)
    peak = peak_resident_bytes()
    if not exact and peak <= earlier_peak:
        return None  # Something needed more before; it hides what this call needed.
    return max(0, peak - before)


def reset_peak():
    """Whether the system agreed to forget this process's peak."""
    try:
        (PROC / 'clear_refs').write_text('5')
    except OSError:
        return False
    return True


# --- figures -------------------------------------------------------------------------------------


def summary(seconds, peak=None):
    """What is kept of a case."""
    low, median, high = quartiles(seconds)
    return dict(
        seconds=list(seconds), median=median, lower_quartile=low, upper_quartile=high, peak=peak
    )


def quartiles(values):
    """Lower quartile, median, upper quartile."""
    if len(values) == 1:
        return (values[0],) * 3
    return tuple(statistics.quantiles(values, n=4, method='inclusive'))


def ratio(above, below):
    """Quartiles of the ratios of two cases, round by round."""
    return quartiles([a / b for a, b in zip(above, below)])


def slope(few, many, positives):
    """Median seconds that one more positive costs, between ``positives`` = (few, many)."""
    rise = [b - a for a, b in zip(few, many)]
    return statistics.median(rise) / (positives[1] - positives[0])
