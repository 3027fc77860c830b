"""Trains and tests the runs of projects/ablations/table.py and records their figures.

A recorded run is not run again; an interrupted training goes on at its last checkpoint. A run of
another config than its record's is refused, and so are records that do not compare.

example:
  DSB2018_ROOT=data/dsb2018 python projects/ablations/run.py tau_03 tau_05 --results mine.json
"""

from __future__ import annotations

import argparse
import copy
import inspect
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))  # started as a script, from anywhere

from mmengine.config import Config  # noqa: E402
from mmengine.runner import Runner, find_latest_checkpoint  # noqa: E402

from msrcnn_plugin.compat import mim_package  # noqa: E402
from msrcnn_plugin.files import read_json, write_json  # noqa: E402
from projects.ablations.records import (  # noqa: E402
    digest,
    file_digest,
    provenance,
    read_records,
    require_comparable,
    seconds_per_iter,
    write_records,
)
from projects.ablations.study import Row, Study  # noqa: E402
from projects.ablations.table import STUDIES  # noqa: E402

# What a config's top level may say; other names there are the config's own.
RUNNER_KEYS = tuple(inspect.signature(Runner).parameters)
VALIDATION = ('val_cfg', 'val_dataloader', 'val_evaluator')


@dataclass(frozen=True)
class Run:
    """A row of a study with one seed; its files lie in ``folder``."""

    study: Study
    row: Row
    seed: int
    work_dir: Path

    def __str__(self) -> str:
        return f'{self.row.name}, seed {self.seed}'

    @property
    def folder(self) -> Path:
        return self.work_dir / self.study.name / f'{self.row.name}-{self.seed}'

    def configs(self) -> tuple[Config, Config]:
        """Reads the config of the training, without validation, and that of the test."""
        cfg = read(self.row.base)
        cfg.merge_from_dict(copy.deepcopy(dict(self.row.changes)))
        test = read(self.row.test) if self.row.test else Config(cfg.to_dict())
        for each in (cfg, test):
            each.custom_imports.imports = [*each.custom_imports.imports, *self.study.imports]
        cfg.merge_from_dict(dict.fromkeys(VALIDATION))
        return cfg, test

    def identity(self) -> dict[str, Any]:
        """What a record tells of the run before it begins; the hash ignores where data lies."""
        configs = self.configs()
        read = [{name: cfg[name] for name in RUNNER_KEYS if name in cfg} for cfg in configs]
        text = json.dumps(read, sort_keys=True, default=str)
        text = text.replace(f'"{innermost(configs[0].train_dataloader.dataset).data_root}', '"')
        key = dict(study=self.study.name, run=self.row.name, seed=self.seed)
        named = dict(config=f'configs/{self.row.base}', changes=self.row.changes)
        return dict(**key, **named, config_hash=digest(text.encode()))

    def data(self) -> dict[str, str]:
        """Digests of the annotations that the run learns from and is tested on."""
        cfg, test = self.configs()
        sets = dict(
            train=innermost(cfg.train_dataloader.dataset), test=test.test_dataloader.dataset
        )
        return {name: file_digest(Path(d.data_root, d.ann_file)) for name, d in sets.items()}


def innermost(dataset: Config) -> Config:
    """The data set in wrappers such as ``ClassBalancedDataset``."""
    return innermost(dataset.dataset) if 'dataset' in dataset else dataset


def read(base: str) -> Config:
    return copy.deepcopy(_read(REPOSITORY / 'configs' / base))


@cache
def _read(path: Path) -> Config:
    return Config.fromfile(path, import_custom_modules=False)


def train(run: Run, command: str, start: Path | None = None) -> dict[str, Any]:
    """Trains to the end with ``mim train``, from the last checkpoint if there is one.

    Args:
        start: checkpoint of the weights that the training starts from.

    Returns:
        the finished training's checkpoint, seconds_per_iter, commit and command.

    Raises:
        ValueError: the folder holds a training of another config, data or start.
        RuntimeError: the training failed.
    """
    begun, finished = run.folder / 'begun.json', run.folder / 'training.json'
    known = dict(config_hash=run.identity()['config_hash'], data=run.data())
    known['start'] = start_digest(start)
    if begun.is_file() and read_json(begun) != known:
        raise ValueError(
            f'{run.folder} holds {run}, with another config, data or start: delete the folder, '
            'or give another --work-dir'
        )
    if finished.is_file():
        return read_json(finished)
    write_json(begun, known)
    cfg, test = run.configs()
    cfg.merge_from_dict({'randomness.seed': run.seed})
    cfg.load_from = str(start) if start else cfg.get('load_from')
    cfg.dump(run.folder / 'config.py')
    test.dump(run.folder / 'test_config.py')
    folder, log = run.folder / 'train', run.folder / 'train.log'
    newest = newest_checkpoint(folder)
    print(f'{run}: {"resuming" if newest else "training"}, log in {log}', flush=True)
    words = ['train', mim_package(), str(run.folder / 'config.py'), '--work-dir', str(folder)]
    status = mim([*words, '--resume', str(newest)] if newest else words, log)
    newest = newest_checkpoint(folder)
    if status or newest is None:
        raise RuntimeError(f'{run}: the training ended with status {status}, see {log}')
    made = {key: provenance(command)[key] for key in ('commit', 'command')}
    trained = dict(checkpoint=newest.name, seconds_per_iter=seconds_per_iter(folder), training=made)
    write_json(finished, trained)
    return trained


def start_digest(path: Path | None) -> str | None:
    """Of the weights alone: trained again alike, they still compare."""
    from msrcnn_plugin.apis.fit.start import weights_digest
    from msrcnn_plugin.checkpoints.files import read_checkpoint

    return weights_digest(read_checkpoint(path))[:12] if path else None


def mim(words: Sequence[str], log: Path) -> int:
    """Runs ``mim``, with this checkout importable; its exit status."""
    path = os.pathsep.join([str(REPOSITORY), os.environ.get('PYTHONPATH', '')])
    command, env = [sys.executable, '-m', 'mim', *words], dict(os.environ, PYTHONPATH=path)
    with open(log, 'a') as stream:
        return subprocess.call(command, stdout=stream, stderr=stream, env=env)


def newest_checkpoint(folder: Path) -> Path | None:
    found = find_latest_checkpoint(str(folder))
    # By name: mmengine notes an absolute path, which is wrong in a folder that was moved.
    path = folder / Path(found or '').name
    return path if path.is_file() else None


def complete(run: Run, results: Path, command: str) -> None:
    """Trains, tests and records a run, after the training whose weights it starts from."""
    from projects.ablations.scoring import difference, test_weights

    start, trunk = None, run.study.trunk
    if trunk:
        start_run = Run(trunk, trunk.rows[0], run.seed, run.work_dir)
        start = start_run.folder / 'train' / train(start_run, command)['checkpoint']
    new = dict(**run.identity(), data=run.data(), **provenance(command))
    new['start'] = start_digest(start)
    require_comparable(results, new)
    trained = train(run, command, start)
    print(f'{run}: testing', flush=True)
    test, config = run.folder / 'test', run.folder / 'test_config.py'
    checkpoint = run.folder / 'train' / trained['checkpoint']
    if run.study.fit is not None:
        from msrcnn_plugin.apis.fit import fit

        fitted = fit(config, checkpoint, run.folder / 'scored.pth', seed=run.seed, **run.study.fit)
        config, checkpoint, new['fit'] = fitted.config, fitted.checkpoint, fitted.facts
    scored = test_weights(config, checkpoint, test, run.study.measures)
    new.update(training=trained['training'], **scored)
    new['figures']['seconds_per_iter'] = trained['seconds_per_iter']
    if run.study.compare_with not in (None, run.row.name):
        other = run.folder.with_name(f'{run.study.compare_with}-{run.seed}') / 'test'
        new['difference'] = dict(run=run.study.compare_with, **difference(test, other))
    if not require_comparable(results, new):  # read now: another call may have added to it
        write_records(results, [*read_records(results), new])


def parse_args(argv: Sequence[str] | None, studies: Mapping[str, Study]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('names', nargs='*', metavar='NAME', help='runs of the study (all)')
    parser.add_argument('--study', default='ablations', choices=studies, help='(%(default)s)')
    parser.add_argument('--seeds', nargs='+', type=int, help="(the study's)")
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/studies'), metavar='DIR')
    parser.add_argument('--results', type=Path, metavar='FILE', help='(results/nuclei.json, …)')
    args = parser.parse_args(argv)
    known = [row.name for row in studies[args.study].rows]
    unknown = [name for name in args.names if name not in known]
    if unknown:
        parser.error(f'no run {", ".join(unknown)} in {args.study}; it has {", ".join(known)}')
    return args


def main(argv: Sequence[str] | None = None, studies: Mapping[str, Study] = STUDIES) -> int:
    args = parse_args(argv, studies)
    words = ['python', 'projects/ablations/run.py', *(sys.argv[1:] if argv is None else argv)]
    study, work_dir = studies[args.study], args.work_dir.resolve()
    results = args.results or REPOSITORY / 'results' / f'{study.results}.json'
    failed = 0
    try:
        runs = [
            Run(study, row, seed, work_dir)
            for seed in args.seeds or study.seeds
            for row in study.rows
            if not args.names or row.name in args.names
        ]
        # All of them before any work.
        waiting = [run for run in runs if not require_comparable(results, run.identity())]
        for run in waiting:
            new = dict(**run.identity(), data=run.data(), **provenance(''))
            require_comparable(results, new)
        for run in waiting:
            try:
                complete(run, results, shlex.join(words))
            except RuntimeError as error:
                print(error, file=sys.stderr)
                failed += 1
    except KeyboardInterrupt:
        print('interrupted: call again to go on', file=sys.stderr)
        return 130
    except (OSError, ValueError) as error:
        print(f'run.py: {" ".join(str(error).split())}', file=sys.stderr)
        return 2
    print(f'{len(runs)} runs: {len(waiting)} new, {failed} failed; the records are in {results}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
