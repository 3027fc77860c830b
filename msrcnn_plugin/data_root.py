"""One place for the path of the data: `data_root`, also from the command line."""

from __future__ import annotations

import copy
import os
from typing import Any

from mmengine.registry import RUNNERS
from mmengine.runner import Runner

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
EVALUATORS = ('val_evaluator', 'test_evaluator')


@RUNNERS.register_module()
class DataRootRunner(Runner):
    """mmengine's runner for configs that name the folder of their data once, as ``data_root``.

    mmdet's configs copy that path into three datasets and two evaluators while they are read, so
    ``--cfg-options data_root=FOLDER`` changes a name that nobody reads any more. A config with
    ``runner_type = 'DataRootRunner'`` and ``data_root = None`` takes it: every path below the
    folder that its datasets name is moved to the one given. A folder that is not there is refused
    before anything is built; ``data_root_help`` of the config says how to get it.
    """

    @classmethod
    def from_cfg(cls, cfg: Any) -> DataRootRunner:
        cfg = with_data_root(cfg)
        require_data(cfg)
        return super().from_cfg(cfg)


def with_data_root(cfg: Any) -> Any:
    """A copy of a config whose datasets and evaluators read below its ``data_root``, if set."""
    cfg = copy.deepcopy(cfg)
    new = cfg.get('data_root')
    if not new:
        return cfg
    for root in dataset_roots(cfg):
        for key in (*LOADERS, *EVALUATORS):
            if cfg.get(key) is not None:
                cfg[key] = _moved(cfg[key], root, os.path.join(new, ''))
    return cfg


def require_data(cfg: Any) -> None:
    """Refuse a config whose data is not there, with what to do about it."""
    for root in dataset_roots(cfg):
        if not os.path.isdir(root):
            advice = cfg.get('data_root_help') or 'give it with --cfg-options data_root=FOLDER'
            raise FileNotFoundError(
                f'the data set should be in {os.path.abspath(root)}, which is no folder: {advice}'
            )


def dataset_roots(cfg: Any) -> list[str]:
    """The folders that the datasets of a config name, each once.

    Raises:
        ValueError: for a dataloader that is none.
    """
    loaders = {key: cfg[key] for key in LOADERS if cfg.get(key) is not None}
    for key, loader in loaders.items():
        if not isinstance(loader, dict):
            raise ValueError(f'the config has {key}={loader!r}: give dict(dataset=...), or None')
    datasets = [loader.get('dataset', {}) for loader in loaders.values()]
    return list(dict.fromkeys(d['data_root'] for d in datasets if d.get('data_root')))


def _moved(value: Any, old: str, new: str) -> Any:
    """``value`` with every path below the folder ``old`` moved below ``new``."""
    if isinstance(value, dict):
        return type(value)({key: _moved(item, old, new) for key, item in value.items()})
    if isinstance(value, (list, tuple)):
        return type(value)(_moved(item, old, new) for item in value)
    if isinstance(value, str) and os.path.join(value, '').startswith(os.path.join(old, '')):
        return os.path.join(new, os.path.relpath(value, old)) if value != old else new
    return value
