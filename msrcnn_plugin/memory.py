"""Measures the peak memory of a stretch of code, on CUDA or in the process."""

from __future__ import annotations

import ctypes
from pathlib import Path

import torch


def reset_peak(device: torch.device | str) -> int | None:
    """Forgets the peak so far and returns the bytes that are held now.

    On CUDA these are the bytes of torch's allocator, else the resident bytes of the process.
    None where the system does not report them.
    """
    if torch.device(device).type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    try:
        ctypes.CDLL(None).malloc_trim(0)  # Memory kept for later would hide what is needed next.
        Path('/proc/self/clear_refs').write_text('5')  # Linux forgets the peak.
    except (AttributeError, OSError, TypeError):
        return None
    return _process_bytes('VmRSS')


def peak_bytes(device: torch.device | str) -> int:
    """Returns the most bytes held since `reset_peak`, which must not have returned None."""
    if torch.device(device).type == 'cuda':
        return torch.cuda.max_memory_allocated(device)
    return _process_bytes('VmHWM')


def _process_bytes(field: str) -> int:
    status = Path('/proc/self/status').read_text()
    return 1024 * int(status.partition(f'{field}:')[2].split()[0])
