"""Tests a model once and keeps what its scores are judged by: pairs and predicted masks."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmdet.registry import RUNNERS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from ..evaluation import MaskScoringResult
from ..evaluation.input_checks import read_annotations
from ..evaluation.progress import progress_bar
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
    runner = build_runner(cfg)
    _check_annotation_files(runner.cfg)
    _load(runner, checkpoint)
    image_folder = _check_images(runner.test_dataloader.dataset)
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
    )


def scoring_evaluators(given: Any, work_dir: Path) -> list[dict]:
    """The COCO metric of a config as a `MaskScoringMetric` that writes its files to ``work_dir``.

    Other metrics of the config are left out.
    """
    metrics = given if isinstance(given, (list, tuple)) else [given]
    for metric in metrics:
        if metric and str(metric.get('type')).split('.')[-1] in COCO_METRICS:
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


def read_config(path: str | os.PathLike) -> Config:
    if not Path(path).is_file():
        raise FileNotFoundError(f'no config at {path}')
    try:
        return Config.fromfile(path)
    except (SyntaxError, AttributeError, KeyError, ImportError) as error:
        raise ValueError(f'{path} is no config that can be read: {error}') from error


def build_runner(cfg: Config) -> Runner:
    """mmengine's runner of a config, in the config's scope."""
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)


def _check_annotation_files(cfg: Config) -> None:
    """What the data set and the metric would stumble over, said of the file by its name."""
    dataset = cfg.test_dataloader.dataset
    files = {cfg.test_evaluator[0].get('ann_file')}
    if dataset.get('ann_file'):
        files.add(os.path.join(dataset.get('data_root') or '', dataset.ann_file))
    for file in sorted(file for file in files if file):
        read_annotations(file)


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
        runner.load_checkpoint(str(checkpoint), map_location='cpu', strict=True)
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
