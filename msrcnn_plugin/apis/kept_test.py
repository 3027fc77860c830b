"""Scored tests that are done once: each in a process of its own, kept under all it depends on.

A test lies in a folder that is named after its inputs: config, weights, data, software and device.
Whatever changes of them leads to another folder, so figures of different inputs never mix, and an
interrupted comparison of several models goes on with the first that was not finished.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import multiprocessing
import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from ..compat import HOST, distribution_versions, installed_versions
from ..data_root import DataRootRunner, with_data_root
from ..evaluation import MaskScoringResult
from ..evaluation.input_checks import read_annotations
from ..files import write_json
from ..shown_path import shown_path
from .child_process import answer, silent_end
from .scored_test import (
    PAIRS_NAME,
    RESULTS_PREFIX,
    ScoredTest,
    read_config,
    run_scored_test,
    scoring_evaluators,
    type_name,
    writes_mask_scores,
)

PACKAGE = Path(__file__).resolve().parents[1]
PLUGIN = PACKAGE.name
OUTCOME_NAME, LOG_NAME = 'outcome.json', 'log.txt'
COST_HOOK = dict(type='PredictionCostHook')
ENDS_WITHIN_SECONDS = 10  # a child that has said what it found
# Beside the host, what figures and times depend on.
LIBRARIES = (
    'numpy',
    'opencv-python',
    'opencv-python-headless',
    'pycocotools',
    'torchvision',
)


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
        if type_name(cfg.get('runner_type')) == DataRootRunner.__name__:
            cfg = with_data_root(cfg)
        for path in (checkpoint, annotation_file(cfg)):
            if not path.is_file():
                raise FileNotFoundError(f'{config} is to be tested with {path}: no such file')
        annotations = digest_of_files([annotation_file(cfg)])
        inputs = dict(
            config=cfg.to_dict(),
            checkpoint=digest_of_files([checkpoint]),
            annotations=annotations,
            data=[data_inputs(dataset) for dataset in base_datasets(test_set(cfg))],
            software={package.module: installed_versions(package) for package in HOST},
            libraries=distribution_versions(LIBRARIES),
            plugin=digest_of_files(plugin_files()),
            modules=digest_of_files(imported_files(cfg)),
            device=device(),
        )
        key = hashlib.sha256(json.dumps(inputs, sort_keys=True, default=str).encode()).hexdigest()
        folder = Path(work_dir).resolve() / f'{config.stem}-{key[:12]}'
        return cls(config, checkpoint, cfg_options, cfg, annotations, folder)

    @property
    def is_done(self) -> bool:
        return all((self.folder / name).is_file() for name in (OUTCOME_NAME, PAIRS_NAME))

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
            result=MaskScoringResult.load(pairs_file),
            figures=json.loads((self.folder / OUTCOME_NAME).read_text())['figures'],
            pairs_file=pairs_file,
            results_file=self.folder / f'{RESULTS_PREFIX}.segm.json',
            ann_file=str(annotation_file(self.cfg)),
            image_folder=None if images is None else str(images),
            writes_mask_scores=writes_mask_scores(self.cfg),
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
        else:
            child.join(ENDS_WITHIN_SECONDS)  # what it has still to write
        finally:
            child.terminate()
            child.join()
        if failure is not None:
            raise ScoredTestError(f'{failure} (log: {shown_path(self.folder / LOG_NAME)})')


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
    return images_of(test_set(cfg))


def test_set(cfg: Config) -> Mapping[str, Any]:
    return cfg.get('test_dataloader', {}).get('dataset', {})


def images_of(dataset: Mapping[str, Any]) -> Path | None:
    """The folder of a data set's images, if it names one."""
    prefix = (dataset.get('data_prefix') or {}).get('img')
    return None if prefix is None else Path(dataset.get('data_root') or '', prefix)


def base_datasets(dataset: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The data sets that are wrapped or combined in one; itself where there are none."""
    inner = dataset.get('datasets') or list(filter(None, [dataset.get('dataset')]))
    if not inner:
        yield dataset
    for one in inner:
        yield from base_datasets(one)


def data_inputs(dataset: Mapping[str, Any]) -> Any:
    """Digest of a data set's annotations, and a listing of the images that they name.

    Only those: where no folder is given, that of the images may be the one of everything.
    """
    files = data_files(dataset)
    return files and digest_and_listing(*files)


def data_files(dataset: Mapping[str, Any]) -> tuple[Path, Path] | None:
    """Annotations of a data set, and the folder of its images; None where it names no file."""
    root = Path(dataset.get('data_root') or '')
    file = dataset.get('ann_file')
    return (root / file, images_of(dataset) or root) if file else None


def digest_and_listing(file: Path, folder: Path) -> tuple[str, list[tuple[str, int, int]]]:
    """Of an annotation file, and of the images in ``folder`` that it names."""
    if not file.is_file():
        raise FileNotFoundError(f'a data set is read from {file}: no such file')
    names = (image.get('file_name') for image in read_annotations(file)['images'])
    return digest_of_files([file]), listing(folder, sorted(filter(None, names)))


def plugin_files() -> list[Path]:
    """All that a test's figures may come from: not what draws them."""
    files = sorted(PACKAGE.rglob('*.py'))
    return [file for file in files if PACKAGE / 'visualization' not in file.parents]


def imported_files(cfg: Config) -> list[Path]:
    """The modules that a config imports; of a package, every one in it."""
    imports = (cfg.get('custom_imports') or {}).get('imports') or ()
    names = [imports] if isinstance(imports, str) else imports
    found = (importlib.util.find_spec(name) for name in names if name.split('.')[0] != PLUGIN)
    files = []
    for spec in filter(None, found):
        folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
        files += [path for folder in folders for path in sorted(folder.rglob('*.py'))]
        if not folders and spec.has_location:
            files.append(Path(spec.origin))
    return files


def digest_of_files(paths: Iterable[Path]) -> str:
    """Of their content, in their order."""
    digest = hashlib.sha256()
    for path in paths:
        with open(path, 'rb') as stream:
            while block := stream.read(2**20):
                digest.update(block)
    return digest.hexdigest()


def listing(folder: Path, names: Iterable[str]) -> list[tuple[str, int, int]]:
    """Name, size and time of change of the files that are there; too many to read."""
    paths = ((name, folder / name) for name in names)
    stats = ((name, path.stat()) for name, path in paths if path.is_file())
    return [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]


def device() -> str:
    """What time and memory are measured on."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f'{processor()}, {torch.get_num_threads()} threads'


def processor() -> str:
    """The CPU's model; its architecture where the system does not say."""
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError:
        lines = []
    models = (line.split(':', 1)[1].strip() for line in lines if line.startswith('model name'))
    return next(models, platform.processor() or platform.machine())
