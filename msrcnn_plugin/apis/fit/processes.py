"""Several processes fit together: what torchrun started, over gloo, on CPUs and on GPUs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from mmengine.dist import broadcast_object_list

PATIENCE = timedelta(days=1)  # some wait while others train


@contextmanager
def joined_processes() -> Iterator[None]:
    """Joins the processes that torchrun started, each on a GPU of its own where there is one.

    Only small tensors pass between them, so gloo serves GPUs as well.
    """
    if int(os.environ.get('WORLD_SIZE', 1)) < 2 or torch.distributed.is_initialized():
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ['LOCAL_RANK']))
    torch.distributed.init_process_group('gloo', timeout=PATIENCE)
    yield
    torch.distributed.destroy_process_group()


def broadcast_object(value: Any) -> Any:
    """Returns what process 0 gives."""
    values = [value]
    broadcast_object_list(values)
    return values[0]
