"""Scored tests that are done once: each in a process of its own, kept under all it depends on.

A test lies in a folder that is named after its inputs: config, weights, data, software and device.
Whatever changes of them leads to another folder, so figures of different inputs never mix, and an
interrupted comparison of several models goes on with the first that was not finished.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from ..compat import HOST, installed_versions
from ..data_root import DataRootRunner, with_data_root
from ..evaluation import MaskScoringPairs, MaskScoringResult
from ..evaluation.whole_file import write_json
from .child_process import answer, silent_end
from .scored_test import (
    PAIRS_NAME,
    RESULTS_PREFIX,
    ScoredTest,
    read_config,
    run_scored_test,
    scoring_evaluators,
)

PACKAGE = Path(__file__).resolve().parents[1]
OUTCOME_NAME, LOG_NAME = 'outcome.json', 'log.txt'
COST_HOOK = dict(type='PredictionCostHook')


class ScoredTestError(RuntimeError):
    """A test failed; the message says why, and where its log is."""


@dataclass(frozen=True)
class KeptTest:
    """A test that was done or can be done.

    Attributes:
        config, checkpoint, cfg_options: as `run_scored_test` takes them.
        cfg: the config with its options.
        annotations: digest of the ground truth; tests of equal ones can be compared.
        folder: where everything of the test lies.
    """

    config: Path
    checkpoint: Path
    cfg_options: Mapping[str, Any]
    cfg: Config
    annotations: str
    folder: Path

    @classmethod
    def of(
        cls,
        config: str | os.PathLike,
        checkpoint: str | os.PathLike,
        work_dir: str | os.PathLike,
        cfg_options: Mapping[str, Any] | None = None,
    ) -> KeptTest:
        """The test of a checkpoint on its config's test set, below ``work_dir``.

        Raises:
            ValueError, FileNotFoundError: what can be told to be wrong before anything is tested.
        """
        config, checkpoint, cfg_options = Path(config), Path(checkpoint), dict(cfg_options or {})
        cfg = read_config(config)
        cfg.merge_from_dict(cfg_options)
        if cfg.get('runner_type') == DataRootRunner.__name__:
            cfg = with_data_root(cfg)
        for path in (checkpoint, annotation_file(cfg)):
            if not path.is_file():
                raise FileNotFoundError(f'{config} is to be tested with {path}: no such file')
        annotations = digest_of_files([annotation_file(cfg)])
        inputs = dict(
            config=cfg.to_dict(),
            checkpoint=digest_of_files([checkpoint]),
            annotations=annotations,
            images=listing(image_folder(cfg)),
            software={package.module: installed_versions(package) for package in HOST},
            plugin=digest_of_files(sorted(PACKAGE.rglob('*.py'))),
            device=device(),
        )
        key = hashlib.sha256(json.dumps(inputs, sort_keys=True, default=str).encode()).hexdigest()
        folder = Path(work_dir).resolve() / f'{config.stem}-{key[:12]}'
        return cls(config, checkpoint, cfg_options, cfg, annotations, folder)

    @property
    def is_done(self) -> bool:
        return (self.folder / OUTCOME_NAME).is_file()

    @property
    def writes_mask_scores_over_class_scores(self) -> bool:
        """As mmdet's own MS R-CNN does."""
        head = self.cfg.get('model', {}).get('roi_head', {})
        return str(head.get('type')).split('.')[-1] == 'MaskScoringRoIHead'

    def run(self) -> ScoredTest:
        """What the test found, now or earlier; with the costs that `PredictionCostHook` measures.

        Raises:
            ScoredTestError: whatever keeps the model from being tested. Other tests are untouched.
        """
        if not self.is_done:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._run_in_child()
        return self.load()

    def load(self) -> ScoredTest:
        """What the test found."""
        pairs_file, images = self.folder / PAIRS_NAME, image_folder(self.cfg)
        return ScoredTest(
            result=MaskScoringResult.from_pairs(MaskScoringPairs.load(pairs_file)),
            figures=json.loads((self.folder / OUTCOME_NAME).read_text())['figures'],
            pairs_file=pairs_file,
            results_file=self.folder / f'{RESULTS_PREFIX}.segm.json',
            ann_file=str(annotation_file(self.cfg)),
            image_folder=None if images is None else str(images),
        )

    def _run_in_child(self) -> None:
        # A fresh process: memory is that of this model alone, and what ends it ends no other test.
        context = multiprocessing.get_context('spawn')
        here, there = context.Pipe(duplex=False)
        child = context.Process(target=_test, args=(there, self), name=self.config.stem)
        child.start()
        there.close()
        try:
            failure = here.recv()
        except EOFError:
            child.join()
            failure = silent_end(child.exitcode)
        finally:
            child.terminate()
            child.join()
        if failure:
            raise ScoredTestError(f'{failure} (log: {self.folder / LOG_NAME})')


def _test(connection: Connection, test: KeptTest) -> None:
    action = partial(keep_outcome, test)
    answer(connection, test.folder / LOG_NAME, action, leave_terminal=True)


def keep_outcome(test: KeptTest) -> None:
    """Tests in this process and keeps the outcome, after which the test is done."""
    test.folder.mkdir(parents=True, exist_ok=True)
    hooks = [*test.cfg.get('custom_hooks', ()), COST_HOOK]
    options = {**test.cfg_options, 'custom_hooks': hooks}
    done = run_scored_test(test.config, test.checkpoint, test.folder, cfg_options=options)
    outcome = dict(figures={name: float(value) for name, value in done.figures.items()})
    # Last: with it the test is done.
    write_json(test.folder / OUTCOME_NAME, outcome)


# --- what a test depends on ----------------------------------------------------------------------


def annotation_file(cfg: Config) -> Path:
    """Of the config's test evaluator; its working directory's where it is relative."""
    (evaluator,) = scoring_evaluators(cfg.get('test_evaluator'), Path())
    if not evaluator.get('ann_file'):
        raise ValueError("the config's test_evaluator has no ann_file, which a test is kept under")
    return Path(evaluator['ann_file'])


def image_folder(cfg: Config) -> Path | None:
    """Of the config's test set; None where it is a combination of several or names none."""
    dataset = cfg.get('test_dataloader', {}).get('dataset', {})
    prefix = dataset.get('data_prefix', {}).get('img')
    return None if prefix is None else Path(dataset.get('data_root') or '', prefix)


def digest_of_files(paths: Iterable[Path]) -> str:
    """Of their content, in their order."""
    digest = hashlib.sha256()
    for path in paths:
        with open(path, 'rb') as stream:
            while block := stream.read(2**20):
                digest.update(block)
    return digest.hexdigest()


def listing(folder: Path | None) -> list[tuple[str, int, int]]:
    """Name, size and time of change of all files below a folder; too many to read."""
    if folder is None or not folder.is_dir():
        return []
    files = sorted(path for path in folder.rglob('*') if path.is_file())
    stats = ((path, path.stat()) for path in files)
    return [(str(path.relative_to(folder)), s.st_size, s.st_mtime_ns) for path, s in stats]


def device() -> str:
    """What time and memory are measured on."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f'CPU, {torch.get_num_threads()} threads'
