"""What a run depends on, and the refusal to put results of different inputs into one table."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..apis.kept_test import PACKAGE, annotation_file, device, digest_of_files
from ..compat import HOST, installed_versions
from ..evaluation.whole_file import write_json
from .study import StudyRun

INPUTS_NAME = 'inputs.json'
# Parts of the package that no figure of a run depends on.
NO_FIGURES = ('checkpoints', 'doctor', 'studies', 'visualization')
# What the test alone depends on: when nothing else has changed, the training is kept.
OF_THE_TEST = ('test_config', 'annotations.test', 'code.apis', 'code.evaluation')
TEST_KEYS = ('test_cfg', 'test_dataloader', 'test_evaluator')
MOST_NAMED = 4


class ChangedInputsError(ValueError):
    """Runs were begun with other inputs; the message names what has changed."""


def prepare(runs: Sequence[StudyRun], *, anew: bool = False) -> None:
    """Note the inputs of each run, and refuse runs that were begun with others.

    Args:
        anew: start those over instead: training and test, or the test alone where it alone is
            concerned. Everything of theirs is deleted.

    Raises:
        ChangedInputsError: before anything is written.
    """
    current = {run.label: inputs(run) for run in runs}
    changed = {run.label: _changes(run, current[run.label]) for run in runs}
    if any(changed.values()) and not anew:
        raise ChangedInputsError(_message(changed, len(runs)))
    for run in runs:
        if changed[run.label]:
            _start_over(run, changed[run.label])
        write_json(run.folder / INPUTS_NAME, current[run.label])


def inputs(run: StudyRun) -> dict[str, Any]:
    """Everything that a figure of the run may depend on, fit for JSON."""
    config = {key: value for key, value in run.cfg.to_dict().items() if key not in TEST_KEYS}
    start = run.cfg.get('load_from')
    if start and not Path(start).is_file():
        raise FileNotFoundError(f'{run.label} starts from {start}: no such checkpoint')
    found = dict(
        config=config,
        test_config=run.test_cfg.to_dict(),
        start=digest_of_files([Path(start)]) if start else None,
        annotations=dict(
            train=_digest(training_annotations(run.cfg)),
            test=_digest(annotation_file(run.test_cfg)),
        ),
        code=code_digests(),
        software={package.module: installed_versions(package) for package in HOST},
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


def training_annotations(cfg: Config) -> Path:
    """Of the training set, or of what it repeats."""
    dataset = cfg.train_dataloader.dataset
    while 'ann_file' not in dataset and 'dataset' in dataset:
        dataset = dataset.dataset
    if not dataset.get('ann_file'):
        raise ValueError('the train_dataloader names no ann_file, which a run is known by')
    return Path(os.path.join(dataset.get('data_root') or '', dataset.ann_file))


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
def _digest(path: Path) -> str:
    if not path.is_file():
        raise FileNotFoundError(f'no annotation file at {path}')
    return digest_of_files([path])


def _changes(run: StudyRun, current: Mapping[str, Any]) -> list[str]:
    """Nothing for a run that was never begun."""
    file = run.folder / INPUTS_NAME
    return list(differences(json.loads(file.read_text()), current)) if file.is_file() else []


def _start_over(run: StudyRun, changed: Sequence[str]) -> None:
    if all(f'{path}.'.startswith(tuple(f'{part}.' for part in OF_THE_TEST)) for path in changed):
        run.record_file.unlink(missing_ok=True)
    else:
        shutil.rmtree(run.folder)


def _message(changed: Mapping[str, Sequence[str]], count: int) -> str:
    affected = {label: paths for label, paths in changed.items() if paths}
    by_paths: dict[str, list[str]] = {}
    for label, paths in affected.items():
        more = f' and {len(paths) - MOST_NAMED} more' if len(paths) > MOST_NAMED else ''
        by_paths.setdefault(', '.join(paths[:MOST_NAMED]) + more, []).append(label)
    named = '; '.join(f'{paths} ({" / ".join(labels)})' for paths, labels in by_paths.items())
    return (
        f'{len(affected)} of {count} runs were begun with other inputs, and their results do not '
        f'compare with new ones. Changed: {named}. --anew starts these runs over, another '
        '--work-dir keeps them'
    )
