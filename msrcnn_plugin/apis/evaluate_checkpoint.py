"""Evaluates a checkpoint once and keeps the data its scores are judged by: matches and masks."""

from __future__ import annotations

import copy
import os
import pickle
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from mmdet.registry import RUNNERS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, load_checkpoint
from torch import nn

from ..evaluation import MaskScoringResult
from ..files import require_writable
from ..progress import progress_bar
from .mean_mask_probs import give_mean_mask_probs
from .prediction_cost import measured_predictions
from .test_set import check_test_set, image_folder

PAIRS_NAME, RESULTS_PREFIX = 'pairs.npz', 'predictions'
RESULTS_NAME = f'{RESULTS_PREFIX}.segm.json'
# The metrics that a `MaskScoringMetric` replaces, with the same arguments.
COCO_METRICS = ('CocoMetric', 'MaskScoringMetric')
MAX_LINES = 6


@dataclass(frozen=True)
class CheckpointEvaluation:
    """The outcome of a test and the files that it left."""

    result: MaskScoringResult
    figures: Mapping[str, float]  # of metric and hooks, with their prefixes; and cost/…
    pairs_file: Path  # the matches, as the metric saves them
    results_file: Path  # the predicted masks in COCO's result format, in the order of the matches
    ann_file: str | None
    image_folder: str | None  # None for a data set that does not name one
    writes_mask_scores: bool = False  # `scores` are mask scores: see `writes_mask_scores`


def evaluate_checkpoint(
    config: str | os.PathLike | Config,
    checkpoint: str | os.PathLike,
    work_dir: str | os.PathLike,
    *,
    cfg_options: Mapping[str, Any] | None = None,
) -> CheckpointEvaluation:
    """Evaluates the checkpoint on the config's test set, through mmengine's runner.

    A `MaskScoringMetric` replaces a config's `CocoMetric`, with the same arguments. So any instance
    segmentation model of mmdet works. A two-stage model is also ranked by class score times mean
    mask probability. All inputs and the output folder are checked before the first image.

    Args:
        config: a file or a loaded config.
        checkpoint: file of the weights; every weight of the model must be in it.
        work_dir: folder for matches, predicted masks and mmengine's log.
        cfg_options: changes to the config, as ``--cfg-options`` gives them.

    Raises:
        ValueError: a broken annotation file or image, a checkpoint of another model, an evaluator
            other than COCO's, predictions that cannot be evaluated.
        OSError: a missing config, checkpoint, annotation file or image; a read-only ``work_dir``.
    """
    work_dir = Path(work_dir)
    cfg = copy.deepcopy(config) if isinstance(config, Config) else read_config(config)
    cfg.merge_from_dict(dict(cfg_options or {}))
    if not Path(checkpoint).is_file():
        raise FileNotFoundError(f'no checkpoint at {checkpoint}')
    cfg.work_dir, cfg.load_from, cfg.resume = str(work_dir), None, False
    if sys.stderr.isatty():
        cfg.log_level = 'WARNING'  # the progress bar replaces the log
    cfg.test_evaluator = scoring_evaluators(cfg.get('test_evaluator'), work_dir)
    require_writable(work_dir / PAIRS_NAME)
    with config_errors():
        runner = build_runner(cfg)
    check_test_set(runner.cfg)
    load_weights(runner.model, checkpoint)
    with config_errors():
        _ = runner.test_dataloader  # builds the data set
    figures = _run(runner)
    metric = runner.test_loop.evaluator.metrics[0]
    return CheckpointEvaluation(
        result=metric.result,
        figures=figures,
        pairs_file=work_dir / PAIRS_NAME,
        results_file=work_dir / RESULTS_NAME,
        ann_file=runner.cfg.test_evaluator[0].get('ann_file'),
        image_folder=image_folder(runner.cfg.test_dataloader.dataset),
        writes_mask_scores=writes_mask_scores(runner.cfg),
    )


def _run(runner: Runner) -> Mapping[str, float]:
    loop = runner.test_loop
    with progress_bar('Testing', len(runner.test_dataloader)) as counted:
        counted_iter = patch.object(loop, 'run_iter', counted(loop.run_iter))
        measured = measured_predictions(runner.model)
        with counted_iter, give_mean_mask_probs(runner.model), measured as costs:
            figures = runner.test()
    return {**figures, **costs}


def scoring_evaluators(given: Any, work_dir: Path) -> list[dict[str, Any]]:
    """Turns a config's COCO metric into a `MaskScoringMetric` that writes files to ``work_dir``.

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
    """Tells whether the model overwrites its class scores with its mask scores.

    mmdet's own MS R-CNN does, and so do the plugin's hosts with ``rescore_boxes=True``.
    """
    head = cfg.get('model', {}).get('roi_head') or {}
    return type_name(head.get('type')) == 'MaskScoringRoIHead' or bool(head.get('rescore_boxes'))


def type_name(given: Any) -> str:
    """Returns the name of a config's ``type``: a string, with or without a scope, or a class."""
    return given.__name__ if isinstance(given, type) else str(given).split('.')[-1]


def read_config(path: str | os.PathLike) -> Config:
    """Reads a config file.

    Raises:
        ValueError: the file fails as a program.
        FileNotFoundError: there is none.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'no config at {path}')
    try:
        return Config.fromfile(path)
    except Exception as error:  # a config is a program
        raise ValueError(f'{path} is no config that can be read: {_described(error)}') from error


def build_runner(cfg: Config) -> Runner:
    """Builds mmengine's runner of a config, in the config's scope."""
    # A config of imported classes needs no scope and says None; the metric's name does.
    cfg.default_scope = cfg.get('default_scope') or 'mmdet'
    init_default_scope(cfg.default_scope)
    return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)


@contextmanager
def config_errors() -> Iterator[None]:
    """Names the config as the cause where a part with a wrong name or argument is built."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, AssertionError, ImportError) as error:
        raise ValueError(
            f'the config cannot be built: {_described(error)}. Check its types and their arguments.'
        ) from error


def load_weights(model: nn.Module, checkpoint: str | os.PathLike) -> None:
    """Loads the weights strictly, as figures of a partly random model mean nothing.

    Raises:
        ValueError: a file that is no checkpoint, or that is one of another model.
    """
    try:
        # Not through the runner, which would tell its hooks before the run begins: an EMAHook has
        # no weights of its own yet. When it begins, it copies those that are there.
        load_checkpoint(model, str(checkpoint), map_location='cpu', strict=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError, TypeError) as error:
        raise ValueError(
            f'{checkpoint} does not fit the model of the config: {first_lines(str(error))}. '
            'Give the checkpoint that was trained with this config.'
        ) from error


def _described(error: Exception) -> str:
    return first_lines(f'{type(error).__name__}: {error}')


def first_lines(text: str) -> str:
    """Joins the first lines of a message."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    more = f' … ({len(lines) - MAX_LINES} lines more)' if len(lines) > MAX_LINES else ''
    return (' '.join(lines[:MAX_LINES])[:600] + more).rstrip('.')
