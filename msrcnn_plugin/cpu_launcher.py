"""Lets `--launcher pytorch` run on a machine without a GPU, over gloo; import it by name:

    custom_imports = dict(imports=['msrcnn_plugin', 'msrcnn_plugin.cpu_launcher'])

mmengine gives each process a CUDA device whatever the backend, and DistributedDataParallel the
number of one. A config can change neither. Where CUDA is available, the import changes nothing.
"""

from __future__ import annotations

from typing import Any

import torch
from mmengine.dist import utils
from mmengine.model import MMDistributedDataParallel
from mmengine.runner import runner


def init_process_group(backend: str, init_backend: str = 'torch', **kwargs: Any) -> None:
    """Starts torch.distributed over gloo, whatever the config asks for."""
    torch.distributed.init_process_group('gloo', **kwargs)


class CPUDistributedDataParallel(MMDistributedDataParallel):
    """Takes no device numbers."""

    def __init__(self, module: torch.nn.Module, device_ids: Any = None, **kwargs: Any) -> None:
        super().__init__(module, device_ids=None, **kwargs)


if not torch.cuda.is_available():
    utils._init_dist_pytorch = init_process_group
    runner.MMDistributedDataParallel = CPUDistributedDataParallel
