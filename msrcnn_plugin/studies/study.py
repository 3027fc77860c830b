"""What a study file says: which configs are trained with which seeds, and under which names.

A study is a small config of its own::

    title = 'What the target of the MaskIoU head is worth'
    base = '../nuclei/ms_rcnn_r18_fpn.py'      # beside the study file; a run may name its own
    seeds = [0, 1]
    load_from = 'work_dirs/trunk/seed_{seed}.pth'   # optional: where every training starts
    runs = dict(
        paper=dict(title='L2 on the RoI grid', paper='section 3.2'),
        l1=dict(title='L1', changes={'model.roi_head.mask_iou_head.loss_iou.type': 'L1Loss'}),
        other='other_config.py',               # a run that is a config of its own
    )

``changes`` are what ``--cfg-options`` takes. ``test`` names another config that the trained weights
are tested with, without the changes, for a model that writes one score over another.
``compare_with='paper'`` has the mask scores of every other run compared with that one's, where the
masks are the same.

A killed training resumes at the checkpoint that its config's CheckpointHook last kept. With
``max_keep_ckpts=1`` there is none for a moment, as mmengine deletes the old one before it writes
the new: killed just then, the training begins again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..apis.scored_test import read_config
from ..data_root import DataRootRunner, require_data, with_data_root

TEXTS = {'title', 'paper', 'base', 'test', 'load_from', 'size', 'compare_with'}
STUDY_KEYS = {'title', 'base', 'seeds', 'load_from', 'runs', 'size', 'compare_with'}
RUN_KEYS = {'title', 'paper', 'base', 'changes', 'test'}
# What training does without: the test comes after it, once, in a process of its own.
VALIDATION = ('val_cfg', 'val_dataloader', 'val_evaluator')


@dataclass(frozen=True)
class StudyRun:
    """One training with one seed and its test; all of it lies in ``folder``."""

    name: str
    seed: int
    title: str
    paper: str | None  # the row of the paper that it repeats
    cfg: Config  # of the training
    test_cfg: Config
    folder: Path

    @property
    def label(self) -> str:
        return f'{self.name}, seed {self.seed}'

    @property
    def train_folder(self) -> Path:
        return self.folder / 'train'

    @property
    def trained_file(self) -> Path:
        """There once the training is finished: what it cost, and its last checkpoint."""
        return self.folder / 'trained.json'

    @property
    def next_stage(self) -> str:
        """'train' until the training is finished, then 'test'."""
        return 'test' if self.trained_file.is_file() else 'train'

    @property
    def is_begun(self) -> bool:
        """Anything of its training or its test is there."""
        return any(
            path.exists() for path in (self.train_folder, self.trained_file, self.record_file)
        )

    @property
    def record_file(self) -> Path:
        """There once the run is done."""
        return self.folder / 'record.json'

    @property
    def log(self) -> Path:
        return self.folder / 'log.txt'


@dataclass(frozen=True)
class Study:
    """``runs`` seed by seed, so that what is compared is finished together."""

    name: str
    title: str
    size: str | None  # of its models, the key of its summary in a file of several
    compare_with: str | None  # the run that the others' mask scores are compared with
    folder: Path  # of all its runs
    runs: tuple[StudyRun, ...]


def read_study(
    path: str | os.PathLike,
    work_dir: str | os.PathLike,
    cfg_options: Mapping[str, Any] | None = None,
) -> Study:
    """The study of a file, with its runs below ``work_dir``.

    Args:
        cfg_options: changes to every config, trained and tested, after the study's own.

    Raises:
        ValueError: a study that is none, or a config that cannot be read.
        FileNotFoundError: a config or a data set that is not there.
    """
    content = read_config(path).to_dict()
    _check_keys(content, STUDY_KEYS, f'the study {path}')
    seeds, runs = content.get('seeds', [0]), content.get('runs')
    _check_runs(path, seeds, runs)
    compare_with = content.get('compare_with')
    if compare_with not in (None, *runs):
        raise ValueError(
            f'the study {path} has compare_with={compare_with!r}: give one of its runs'
        )
    beside, folder = Path(path).resolve().parent, Path(work_dir).resolve()
    entries = {name: _entry(path, name, given, content) for name, given in runs.items()}
    # Once for all seeds: to read a config takes up to a second.
    configs = {name: _configs(entry, beside, cfg_options) for name, entry in entries.items()}
    made = [
        _run(name, entry, *configs[name], seed, folder)
        for seed in seeds
        for name, entry in entries.items()
    ]
    name = Path(path).stem
    title, size = content.get('title') or name, content.get('size')
    return Study(name, title, size, compare_with, folder, tuple(made))


def _check_keys(given: Mapping, known: set[str], what: str) -> None:
    unknown = sorted(set(given) - known)
    if unknown:
        raise ValueError(f'{what} has {", ".join(unknown)}, expected some of {sorted(known)}')
    for key in TEXTS.intersection(given):
        if not isinstance(given[key], (str, type(None))):
            raise ValueError(f'{what} has {key}={given[key]!r}: give a string')


def _check_runs(path: str | os.PathLike, seeds: Any, runs: Any) -> None:
    if not isinstance(runs, Mapping) or not runs:
        raise ValueError(f'the study {path} has no runs: give runs=dict(NAME=dict(...), ...)')
    numbers = isinstance(seeds, Sequence) and all(isinstance(seed, int) for seed in seeds)
    if not numbers or not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f'the study {path} has seeds={seeds}: give a list of different integers')


def _entry(path: str | os.PathLike, name: str, given: Any, study: Mapping) -> dict:
    """A run as the file has it, with what it takes from the study."""
    what = f'run {name} of {path}'
    entry = {'base': given} if isinstance(given, str) else given
    if not isinstance(entry, Mapping) or not isinstance(entry.get('changes', {}), Mapping):
        raise ValueError(f'{what} is {given!r}: give a config, or dict(base=..., changes={{...}})')
    _check_keys(entry, RUN_KEYS, what)
    shared = {key: study[key] for key in ('base', 'load_from') if key in study}
    entry = {**shared, **entry}
    if not entry.get('base'):
        raise ValueError(f'{what} has no config: give it, or the study, base=PATH')
    return entry


def _configs(
    entry: Mapping[str, Any], beside: Path, cfg_options: Mapping[str, Any] | None
) -> tuple[Config, Config]:
    """Of training and test, before any seed."""
    cfg = read_config(beside / entry['base'])
    _merge(cfg, entry.get('changes'), entry['base'])
    test_cfg = read_config(beside / entry['test']) if entry.get('test') else cfg
    return tuple(_with_options(each, cfg_options, entry['base']) for each in (cfg, test_cfg))


def _run(
    name: str, entry: Mapping[str, Any], cfg: Config, test_cfg: Config, seed: int, folder: Path
) -> StudyRun:
    cfg = Config(cfg.to_dict())
    cfg.randomness = {**(cfg.get('randomness') or {}), 'seed': seed}
    if entry.get('load_from'):
        cfg.load_from = entry['load_from'].replace('{seed}', str(seed))
    for key in VALIDATION:
        cfg[key] = None
    title, paper = entry.get('title') or name, entry.get('paper')
    return StudyRun(name, seed, title, paper, cfg, test_cfg, folder / f'{name}-{seed}')


def _with_options(cfg: Config, cfg_options: Mapping[str, Any] | None, base: str) -> Config:
    cfg = Config(cfg.to_dict())
    _merge(cfg, cfg_options, base)
    if cfg.get('runner_type') == DataRootRunner.__name__:
        cfg = with_data_root(cfg)
    require_data(cfg)
    return cfg


def _merge(cfg: Config, changes: Mapping[str, Any] | None, base: str) -> None:
    try:
        cfg.merge_from_dict(dict(changes or {}))
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(f'{base} cannot be changed by {dict(changes)}: {error}') from error
