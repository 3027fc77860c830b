"""What a run depends on, and the refusal to put results of different inputs into one table."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from mmdet.registry import MODELS, TASK_UTILS
from mmengine.config import Config

from ..apis.kept_test import (
    LIBRARIES,
    PACKAGE,
    annotation_file,
    base_datasets,
    data_files,
    device,
    digest_and_listing,
    digest_of_files,
    imported_files,
)
from ..compat import HOST, distribution_versions, installed_versions
from ..files import read_json, write_json
from .study import StudyRun

INPUTS_NAME = 'inputs.json'
# Parts of the package that no figure of a run depends on.
NO_FIGURES = ('checkpoints', 'doctor', 'visualization')
# Parts that no training depends on, and those that only the training of a model of theirs does.
NOT_IN_TRAINING = ('evaluation',)
OF_OUR_MODELS = ('geometry', 'models')
# What the test alone depends on: when nothing else has changed, the training is kept.
OF_THE_TEST = ('test_config', 'data.test', 'data.ground_truth', 'code.test', 'modules.test')
TEST_KEYS = ('test_cfg', 'test_dataloader', 'test_evaluator')
MOST_NAMED = 4


class ChangedInputsError(ValueError):
    """Runs were begun with other inputs; the message names what has changed."""


def prepare(
    runs: Sequence[StudyRun], *, beside: Sequence[StudyRun] = (), anew: bool = False
) -> None:
    """Note the inputs of each run, and refuse runs that were begun with others.

    Args:
        beside: runs that stand in the same table. Those that were begun are refused, too, where
            their inputs have changed; nothing of theirs is written.
        anew: start ``runs`` over instead: training and test, or the test alone where it alone is
            concerned. Everything of theirs is deleted.

    Raises:
        ChangedInputsError: before anything is written.
    """
    labels = {run.label for run in runs}
    others = [run for run in beside if run.is_begun and run.label not in labels]
    current = {run.label: inputs(run) for run in (*runs, *others)}
    changed = {run.label: _changes(run, current[run.label]) for run in (*runs, *others)}
    if any(changed[run.label] for run in (others if anew else (*runs, *others))):
        raise ChangedInputsError(_message(changed))
    for run in runs:
        if changed[run.label]:
            _start_over(run, changed[run.label])
        write_json(run.folder / INPUTS_NAME, current[run.label])


def require_unchanged(run: StudyRun) -> None:
    """Compare what is there now with what `prepare` noted, as a study may take days.

    Raises:
        ChangedInputsError: as the run would not be that of the others' inputs.
    """
    changed = list(differences(read_json(run.folder / INPUTS_NAME), inputs(run)))
    if changed:
        raise ChangedInputsError(_message({run.label: changed}))


def inputs(run: StudyRun) -> dict[str, Any]:
    """Everything that a figure of the run may depend on, fit for JSON."""
    config = {key: value for key, value in run.cfg.to_dict().items() if key not in TEST_KEYS}
    found = dict(
        config=config,
        test_config=run.test_cfg.to_dict(),
        start=_start(run),
        data=dict(
            train=data_digests(run.cfg, 'train_dataloader'),
            test=data_digests(run.test_cfg, 'test_dataloader'),
            ground_truth=_digest(annotation_file(run.test_cfg)),
        ),
        code=dict(train=training_code(run.cfg), test=code_digests()),
        modules=dict(
            train=digest_of_files(imported_files(run.cfg)),
            test=digest_of_files(imported_files(run.test_cfg)),
        ),
        software={package.module: installed_versions(package) for package in HOST},
        libraries=distribution_versions(LIBRARIES),
        device=device(),
    )
    # As it is read back: no tuples, text for what JSON does not know.
    return json.loads(json.dumps(found, default=str))


@cache
def code_digests() -> dict[str, str]:
    """By part of the package."""
    entries = [*PACKAGE.glob('*/__init__.py'), *PACKAGE.glob('*.py')]
    parts = (entry.parent if entry.parent != PACKAGE else entry for entry in entries)
    return {
        part.stem: digest_of_files(sorted(part.rglob('*.py')) if part.is_dir() else [part])
        for part in sorted(parts)
        if part.stem not in NO_FIGURES
    }


def training_code(cfg: Config) -> dict[str, str]:
    """What of `code_digests` the training of a config depends on.

    A changed MaskIoU head trains no plain Mask R-CNN anew.
    """
    left_out = NOT_IN_TRAINING if has_our_models(cfg) else NOT_IN_TRAINING + OF_OUR_MODELS
    return {part: digest for part, digest in code_digests().items() if part not in left_out}


def has_our_models(cfg: Config) -> bool:
    """Any part of the config's model is a class of this package, or is made of one."""
    found = (registry.get(name) for name in _types(cfg.model) for registry in (MODELS, TASK_UTILS))
    bases = (base for kind in found for base in getattr(kind, '__mro__', ()))
    return any(base.__module__.startswith(PACKAGE.name) for base in bases)


def _types(config: Any) -> Iterator[str]:
    """Of everything that is built from a config."""
    if isinstance(config, Mapping):
        if isinstance(config.get('type'), str):
            yield config['type']
        config = list(config.values())
    if isinstance(config, (list, tuple)):
        for part in config:
            yield from _types(part)


def data_digests(cfg: Config, loader: str) -> list[str]:
    """Of each data set that the loader combines: annotations, and the images that they name."""
    files = map(data_files, base_datasets((cfg.get(loader) or {}).get('dataset') or {}))
    found = [named and _data_digest(*named) for named in files]
    if not all(found):
        raise ValueError(f'the {loader} of a config names no ann_file, which a run is known by')
    return found


def differences(old: Any, new: Any, path: str = '') -> Iterator[str]:
    """Dotted paths at which two nested dicts differ.

    Example:
        >>> list(differences({'a': {'b': 1, 'c': 2}}, {'a': {'b': 1, 'c': 3}, 'd': 4}))
        ['a.c', 'd']
    """
    if not (isinstance(old, Mapping) and isinstance(new, Mapping)):
        if old != new:
            yield path
        return
    for key in dict.fromkeys([*old, *new]):
        below = f'{path}.{key}' if path else str(key)
        if key in old and key in new:
            yield from differences(old[key], new[key], below)
        else:
            yield below


@cache
def _data_digest(file: Path, folder: Path) -> str:
    return hashlib.sha256(json.dumps(digest_and_listing(file, folder)).encode()).hexdigest()


@cache
def _digest(path: Path) -> str:
    if not path.is_file():
        raise FileNotFoundError(f'no annotation file at {path}')
    return digest_of_files([path])


def _start(run: StudyRun) -> str | None:
    """Digest of the checkpoint; what mmengine fetches from an address is known by the config's."""
    start = run.cfg.get('load_from')
    if not start or '://' in start:
        return None
    if not Path(start).is_file():
        raise FileNotFoundError(f'{run.label} starts from {start}: no such checkpoint')
    return digest_of_files([Path(start)])


def _changes(run: StudyRun, current: Mapping[str, Any]) -> list[str]:
    """Nothing for a run that was never begun; everything for one whose inputs are lost."""
    if not run.is_begun:
        return []
    file = run.folder / INPUTS_NAME
    return list(differences(read_json(file) if file.is_file() else {}, current))


def _start_over(run: StudyRun, changed: Sequence[str]) -> None:
    # These first: where the rest is interrupted, nothing passes for finished.
    run.record_file.unlink(missing_ok=True)
    of_the_test = tuple(f'{part}.' for part in OF_THE_TEST)
    if not all(f'{path}.'.startswith(of_the_test) for path in changed):
        run.trained_file.unlink(missing_ok=True)
        shutil.rmtree(run.folder)


def _message(changed: Mapping[str, Sequence[str]]) -> str:
    affected = {label: paths for label, paths in changed.items() if paths}
    by_paths: dict[str, list[str]] = {}
    for label, paths in affected.items():
        more = f' and {len(paths) - MOST_NAMED} more' if len(paths) > MOST_NAMED else ''
        by_paths.setdefault(', '.join(paths[:MOST_NAMED]) + more, []).append(label)
    named = '; '.join(f'{paths} ({" / ".join(labels)})' for paths, labels in by_paths.items())
    return (
        f'{len(affected)} of {len(changed)} runs were begun with other inputs, and their results '
        f'do not compare with new ones. Changed: {named}. --anew starts those over that are to run '
        'now, another --work-dir keeps them'
    )
