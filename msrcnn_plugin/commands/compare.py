"""Puts several models side by side on one test set.

  msrcnn compare --mask-rcnn CONFIG CHECKPOINT --plugin CONFIG CHECKPOINT ...
      tests each checkpoint. A finished test is kept below --out, so a second call goes on where
      the first one stopped. One model that fails leaves the others; the exit status is then 2.
  msrcnn compare A/pairs.npz B/pairs.npz ...
      from the matches that earlier calls of `msrcnn report` left
  msrcnn compare --annotations GT.json --results A.json B.json ...
      from files in COCO format, of any models; needs neither mmdet nor torch

example:
  msrcnn compare --model plain a.py a.pth --model scored b.py b.pth --json figures.json
"""

from __future__ import annotations

import argparse
import hashlib
import math
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files import read_json, require_writable, write_json
from .arguments import add_config_options, add_json, require_files, shown_command
from .main import BAD_INPUT, INTERRUPTED
from .report import (
    Judged,
    add_cases,
    add_scores,
    judged_by_matches,
    judged_by_results,
    judged_by_test,
    show,
    with_gallery,
)

if TYPE_CHECKING:
    from ..apis import CheckpointEvaluation

NAMES = dict(mask_rcnn='Mask R-CNN', ms_rcnn="mmdet's MS R-CNN", plugin='MS R-CNN, this plugin')
COSTS = (
    ('ms an image', 'cost/seconds_per_image', 1e-3),
    ('extra memory (MiB)', 'cost/extra_memory', 2**20),
    ('parameters (M)', 'cost/parameters', 1e6),
)
RECORD_NAME, PAGE_NAME = 'test.json', 'compare.html'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `msrcnn compare`."""
    parser.add_argument('inputs', nargs='*', metavar='PAIRS.npz', help='matches of a test')
    for option, name in NAMES.items():
        flag = f'--{option.replace("_", "-")}'
        parser.add_argument(flag, nargs=2, metavar=('CONFIG', 'CHECKPOINT'), help=name)
    parser.add_argument(
        '--model',
        nargs=3,
        action='append',
        default=[],
        metavar=('NAME', 'CONFIG', 'CHECKPOINT'),
        help='any instance segmentation model of mmdet; may be repeated',
    )
    parser.add_argument('--annotations', metavar='GT.json', help='ground truth in COCO format')
    parser.add_argument(
        '--results', nargs='+', action='extend', default=[], metavar='DT.json', help='detections'
    )
    parser.add_argument('--images', metavar='FOLDER', help='of the annotated images')
    add_scores(parser)
    parser.add_argument(
        '--out',
        '--work-dir',
        type=Path,
        default=Path('work_dirs/compare'),
        metavar='FOLDER',
        help='for the page and the tests (%(default)s)',
    )
    add_cases(parser, default=4)
    add_json(parser)
    add_config_options(parser)


def run(args: argparse.Namespace) -> int:
    """Judges the models, prints their figures and writes the page."""
    checkpoints = _checkpoints(args)
    _check(args, checkpoints)
    for path in filter(None, [args.out / PAGE_NAME, args.json]):
        require_writable(path)
    failed: dict[str, str] = {}
    judged: list[Judged] = []
    status = 0
    try:
        # An interruption leaves those that were finished in the list.
        judged.extend(_tested(checkpoints, args, failed) if checkpoints else _read(args))
    except KeyboardInterrupt:
        status = INTERRUPTED
        print('interrupted: call again to go on; these models were finished', file=sys.stderr)
    _require_same_ground_truth(judged)
    _write(args, judged, failed)
    return status or (BAD_INPUT if failed else 0)


def _checkpoints(args: argparse.Namespace) -> list[tuple[str, str, str]]:
    """Returns name, config and checkpoint of each model to be tested."""
    named = [(name, getattr(args, option)) for option, name in NAMES.items()]
    return [(name, *files) for name, files in named if files] + [tuple(m) for m in args.model]


def _check(args: argparse.Namespace, checkpoints: list[tuple[str, str, str]]) -> None:
    kinds = [bool(checkpoints), bool(args.inputs), bool(args.results)]
    if sum(kinds) != 1:
        raise ValueError('give either checkpoints, or pairs files, or --annotations and --results')
    if args.results and not args.annotations:
        raise ValueError('--results needs --annotations GT.json')
    names = [name for name, *_ in checkpoints] or _names(args.inputs or args.results)
    folders = {_folder_name(name) for name in names}
    if len(folders) < len(names):
        raise ValueError(f'models {", ".join(names)}: give each another name')
    models = [path for _, *files in checkpoints for path in files]
    require_files([*models, *args.inputs, *args.results, args.annotations])


def _folder_name(name: str) -> str:
    return re.sub(r'[^\w.-]+', '_', name)


def _names(paths: list[str]) -> list[str]:
    """Names files by their stems; where all have the same one, by their folders."""
    parts = [Path(path).resolve().with_suffix('').parts for path in paths]
    while len(parts) > 1 and len({each[-1] for each in parts}) == 1 and min(map(len, parts)) > 1:
        parts = [each[:-1] for each in parts]
    names = [each[-1] for each in parts]
    return names if len(set(names)) == len(names) else ['/'.join(each[-2:]) for each in parts]


def _read(args: argparse.Namespace) -> Iterator[Judged]:
    """Judges models by the files that they left."""
    for name, path in zip(_names(args.inputs), args.inputs, strict=True):
        yield judged_by_matches(name, path)
    for name, path in zip(_names(args.results), args.results, strict=True):
        judged = judged_by_results(name, args.annotations, path, args.score)
        yield replace(judged, annotations=args.annotations, images=args.images, results=path)


# --- checkpoints -------------------------------------------------------------


def _tested(
    checkpoints: list[tuple[str, str, str]], args: argparse.Namespace, failed: dict[str, str]
) -> Iterator[Judged]:
    """Tests the models that are not tested yet; adds the errors of the others to ``failed``."""
    options = dict(args.cfg_options or {})
    planned = {name: _inputs(config, weights, options) for name, config, weights in checkpoints}
    if len({inputs['annotations'] for inputs in planned.values()}) > 1:
        raise ValueError(
            f'{", ".join(planned)} are tested on different ground truth, so their figures do not '
            'compare: give configs whose test sets are the same'
        )
    for number, (name, config, weights) in enumerate(checkpoints, start=1):
        folder = args.out / _folder_name(name)
        done = _is_done(folder, planned[name])
        state = f'done before, in {folder}' if done else 'testing ...'
        print(f'{number}/{len(checkpoints)} {name}: {state}', flush=True)
        try:
            if not done:
                _test(config, weights, folder, options, planned[name])
            test = _load(folder)
            judged = judged_by_test(name, test)
            yield replace(judged, model=replace(judged.model, facts=_costs(test.figures)))
        except Exception as error:  # of one model; the others are worth showing
            kind = '' if isinstance(error, (OSError, ValueError)) else f'{type(error).__name__}: '
            failed[name] = kind + ' '.join(str(error).split())
            print(f'msrcnn compare: {name} failed: {failed[name]}', file=sys.stderr)


def _inputs(config: str, checkpoint: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a test depends on: its config, weights and annotations."""
    from ..apis.evaluate_checkpoint import read_config, scoring_evaluators

    cfg = read_config(config)
    cfg.merge_from_dict(dict(options))
    (evaluator,) = scoring_evaluators(cfg.get('test_evaluator'), Path())
    file = evaluator.get('ann_file')
    require_files([file])
    return dict(
        config=cfg.pretty_text,
        checkpoint=_digest(checkpoint),
        annotations=file and _digest(file),
    )


def _digest(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, 'rb') as stream:
        while block := stream.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def _is_done(folder: Path, inputs: Mapping[str, Any]) -> bool:
    record = folder / RECORD_NAME
    return record.is_file() and read_json(record)['inputs'] == inputs


def _test(
    config: str,
    checkpoint: str,
    folder: Path,
    options: Mapping[str, Any],
    inputs: Mapping[str, Any],
) -> None:
    from ..apis import evaluate_checkpoint

    (folder / RECORD_NAME).unlink(missing_ok=True)  # of a test whose files are written over now
    test = evaluate_checkpoint(config, checkpoint, folder, cfg_options=options)
    record = dict(
        inputs=inputs,
        figures={name: float(value) for name, value in test.figures.items()},
        ann_file=test.ann_file,
        image_folder=test.image_folder,
        writes_mask_scores=test.writes_mask_scores,
    )
    write_json(folder / RECORD_NAME, record)  # last: with it the test is done


def _load(folder: Path) -> CheckpointEvaluation:
    from ..apis import CheckpointEvaluation
    from ..apis.evaluate_checkpoint import PAIRS_NAME, RESULTS_NAME
    from ..evaluation import MaskScoringResult, Matches

    record = read_json(folder / RECORD_NAME)
    del record['inputs']
    return CheckpointEvaluation(
        result=MaskScoringResult.from_matches(Matches.load(folder / PAIRS_NAME)),
        pairs_file=folder / PAIRS_NAME,
        results_file=folder / RESULTS_NAME,
        **record,
    )


def _costs(figures: Mapping[str, float]) -> dict[str, float]:
    """Returns what predicting cost, as columns of the table of models."""
    return {title: figures.get(key, math.nan) / unit for title, key, unit in COSTS}


# --- output ------------------------------------------------------------------


def _require_same_ground_truth(judged: list[Judged]) -> None:
    """Raises a ValueError where models were judged by different objects."""
    import numpy as np

    tables = [one.model.result.matches for one in judged]
    for one, table in zip(judged, tables):
        if not np.array_equal(table.gt_area, tables[0].gt_area):
            raise ValueError(
                f'{one.model.name} and {judged[0].model.name} were tested on different ground '
                'truth, so their figures do not compare: give tests of the same data set'
            )


def _write(args: argparse.Namespace, judged: list[Judged], failed: Mapping[str, str]) -> None:
    """Prints the figures, then writes JSON and page."""
    from ..visualization.report import figures_of, render_report, write_report

    models = [one.model for one in judged]
    if models:
        show(models)
    if args.json:
        write_json(args.json, {**(figures_of(models) if models else {}), 'failed': dict(failed)})
    if not models:
        return
    galleries = [with_gallery(one, args.cases) for one in judged]
    for _, problem in galleries:
        if problem:
            print(f'msrcnn compare: {problem}', file=sys.stderr)
    page = args.out / PAGE_NAME
    command = shown_command('compare', args.words)
    models = [model for model, _ in galleries]
    write_report(page, render_report(models, title='Comparison', command=command))
    print(f'page     {page}')
