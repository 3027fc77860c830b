"""Tests a model once and keeps what its scores are judged by: pairs and predicted masks."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmdet.registry import RUNNERS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, load_checkpoint

from ..evaluation import MaskScoringResult
from ..evaluation.input_checks import check_image_names, read_annotations
from ..progress import progress_bar
from .mean_mask_probs import give_mean_mask_probs

PAIRS_NAME, RESULTS_PREFIX = 'pairs.npz', 'predictions'
# The metrics that a `MaskScoringMetric` stands for, with the same arguments.
COCO_METRICS = ('CocoMetric', 'MaskScoringMetric')
MOST_LINES = 6


@dataclass(frozen=True)
class ScoredTest:
    """What a test found, and where it left it."""

    result: MaskScoringResult
    figures: Mapping[str, float]  # the metric's, with its prefix
    pairs_file: Path  # `MaskScoringPairs`
    results_file: Path  # the predicted masks in COCO's result format, in the order of the pairs
    ann_file: str | None
    image_folder: str | None  # None for a data set that does not name one
    writes_mask_scores: bool = False  # `scores` are mask scores: see `writes_mask_scores`


def run_scored_test(
    config: str | os.PathLike | Config,
    checkpoint: str | os.PathLike,
    work_dir: str | os.PathLike,
    *,
    cfg_options: Mapping[str, Any] | None = None,
) -> ScoredTest:
    """Tests the checkpoint on the config's test set, through mmengine's runner.

    A config whose test evaluator is a `CocoMetric` is evaluated by a `MaskScoringMetric` with the
    same arguments, so any instance segmentation model of mmdet will do. A two-stage model is also
    ranked by class score times mean mask probability.

    Args:
        work_dir: where pairs, predicted masks and mmengine's log are written.
        cfg_options: changes to the config, as ``--cfg-options`` gives them.

    Raises:
        ValueError: an annotation file that is none, a checkpoint of another model, an evaluator
            that is no COCO metric, predictions that cannot be evaluated.
        FileNotFoundError: no config, checkpoint, annotation file or image where it should be.
    """
    work_dir = Path(work_dir)
    cfg = config if isinstance(config, Config) else read_config(config)
    cfg.merge_from_dict(dict(cfg_options or {}))
    cfg.work_dir, cfg.load_from, cfg.resume = str(work_dir), None, False
    if sys.stderr.isatty():
        cfg.log_level = 'WARNING'  # the bar says how far it is
    cfg.test_evaluator = scoring_evaluators(cfg.get('test_evaluator'), work_dir)
    with _built_from_config():
        runner = build_runner(cfg)
    _check_annotation_files(runner.cfg)
    _load(runner, checkpoint)
    with _built_from_config():
        dataset = runner.test_dataloader.dataset
    image_folder = _check_images(dataset)
    with progress_bar('Testing', len(runner.test_dataloader)) as counted:
        runner.test_loop.run_iter = counted(runner.test_loop.run_iter)
        with give_mean_mask_probs(runner.model):
            figures = runner.test()
    metric = runner.test_loop.evaluator.metrics[0]
    return ScoredTest(
        result=metric.result,
        figures=figures,
        pairs_file=work_dir / PAIRS_NAME,
        results_file=work_dir / f'{RESULTS_PREFIX}.segm.json',
        ann_file=runner.cfg.test_evaluator[0].get('ann_file'),
        image_folder=image_folder,
        writes_mask_scores=writes_mask_scores(runner.cfg),
    )


def scoring_evaluators(given: Any, work_dir: Path) -> list[dict]:
    """The COCO metric of a config as a `MaskScoringMetric` that writes its files to ``work_dir``.

    Other metrics of the config are left out.
    """
    metrics = given if isinstance(given, (list, tuple)) else [given]
    for metric in metrics:
        if metric and type_name(metric.get('type')) in COCO_METRICS:
            return [
                dict(
                    {'bounded_scores': False, **metric},
                    type='MaskScoringMetric',
                    metric=['bbox', 'segm'],
                    pairs_file=str(work_dir / PAIRS_NAME),
                    outfile_prefix=str(work_dir / RESULTS_PREFIX),
                    format_only=False,
                )
            ]
    types = [metric.get('type') for metric in metrics if metric]
    raise ValueError(
        f"the config's test_evaluator is {types or 'not set'}, expected one of {COCO_METRICS}: "
        'set test_evaluator and test_dataloader to a COCO-format data set with annotations'
    )


def writes_mask_scores(cfg: Config) -> bool:
    """Does the model write its mask scores over the class scores?

    mmdet's own MS R-CNN does, and the plugin's hosts with ``rescore_boxes=True``.
    """
    head = cfg.get('model', {}).get('roi_head') or {}
    return type_name(head.get('type')) == 'MaskScoringRoIHead' or bool(head.get('rescore_boxes'))


def type_name(given: Any) -> str:
    """The class that a config names: by a string, with or without a scope, or by itself."""
    return given.__name__ if isinstance(given, type) else str(given).split('.')[-1]


def read_config(path: str | os.PathLike) -> Config:
    if not Path(path).is_file():
        raise FileNotFoundError(f'no config at {path}')
    try:
        return Config.fromfile(path)
    except Exception as error:  # a config is a program
        raise ValueError(f'{path} is no config that can be read: {_told(error)}') from error


@contextmanager
def _built_from_config() -> Iterator[None]:
    """What a config says wrongly shows where its parts are built: names, arguments, imports."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, AssertionError, ImportError) as error:
        raise ValueError(
            f'the config cannot be built: {_told(error)}. Check its types and their arguments.'
        ) from error


def _told(error: Exception) -> str:
    return _first_lines(f'{type(error).__name__}: {error}')


def build_runner(cfg: Config) -> Runner:
    """mmengine's runner of a config, in the config's scope."""
    # A config of imported classes needs no scope and says None; the metric's name does.
    cfg.default_scope = cfg.get('default_scope') or 'mmdet'
    init_default_scope(cfg.default_scope)
    return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)


def _check_annotation_files(cfg: Config) -> None:
    """What the data set and the metric would stumble over, said of the file by its name."""
    dataset = cfg.test_dataloader.dataset
    if cfg.test_evaluator[0].get('ann_file'):
        read_annotations(cfg.test_evaluator[0]['ann_file'])
    if dataset.get('ann_file'):
        file = os.path.join(dataset.get('data_root') or '', dataset.ann_file)
        check_image_names(read_annotations(file), file)


def _check_images(dataset: Any) -> str | None:
    """The folder of the images; refuses a data set of which any is missing."""
    paths = [dataset.get_data_info(place).get('img_path') for place in range(len(dataset))]
    paths = [path for path in paths if path and '://' not in path]
    missing = [path for path in paths if not os.path.isfile(path)]
    if missing:
        raise FileNotFoundError(
            f'{len(missing)} of {len(paths)} images are missing, the first is {missing[0]}: '
            'check data_root and data_prefix of the test set'
        )
    return getattr(dataset, 'data_prefix', {}).get('img')


def _load(runner: Runner, checkpoint: str | os.PathLike) -> None:
    """Loads the weights; every one must be there and fit, else the figures are of another model."""
    if not Path(checkpoint).is_file():
        raise FileNotFoundError(f'no checkpoint at {checkpoint}')
    try:
        # Not through the runner, which would tell its hooks before the run begins: an EMAHook has
        # no weights of its own yet. When it begins, it copies those that are there.
        load_checkpoint(runner.model, str(checkpoint), map_location='cpu', strict=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError, TypeError) as error:
        raise ValueError(
            f'{checkpoint} does not fit the model of the config: {_first_lines(str(error))}. '
            'Give the checkpoint that was trained with this config.'
        ) from error


def _first_lines(text: str) -> str:
    """A message of many lines in one, its end left out."""
    lines: Sequence[str] = [line.strip() for line in text.splitlines() if line.strip()]
    more = f' … ({len(lines) - MOST_LINES} lines more)' if len(lines) > MOST_LINES else ''
    return (' '.join(lines[:MOST_LINES])[:600] + more).rstrip('.')
