"""Writes one self-contained HTML page of what the mask scores of a model are worth.

  msrcnn report CONFIG CHECKPOINT
      tests the checkpoint once on the config's test set; any instance segmentation model of mmdet
      on COCO-format data will do
  msrcnn report PAIRS.npz
      from the matches that an earlier call left, in seconds
  msrcnn report --annotations GT.json --results DT.json
      from files in COCO format, of any model; needs neither mmdet nor torch

The folder of the page also gets the matches (pairs.npz) and, after a test, the predicted masks.
With --images, the last two forms show a gallery of misjudged masks. PAIRS.npz then needs the
annotations and the results that it was made of.

examples:
  msrcnn report my_config.py epoch_12.pth
  msrcnn report --annotations val.json --results detections.json --images val/ --score mask_score
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..files import atomic_write, require_writable, write_json
from .arguments import add_config_options, add_json, print_table, require_files, shown_command

if TYPE_CHECKING:
    from ..apis import CheckpointEvaluation
    from ..visualization.report import ReportedModel

PAIRS_NAME, PAGE_NAME = 'pairs.npz', 'report.html'
FIGURE_DPI, FIGURE_SUFFIXES = 110, ('.png', '.svg', '.pdf')
MAX_CASES = 24  # of each kind; a page is to stay below 5 MB


@dataclass(frozen=True)
class Judged:
    """A model with its figures, and the files that it was judged by."""

    model: ReportedModel
    pairs_file: Path | None = None  # None where the matches are not written yet
    annotations: str | Path | None = None
    images: str | Path | None = None
    results: str | Path | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `msrcnn report`."""
    parser.add_argument('inputs', nargs='*', metavar='FILE', help='see above')
    parser.add_argument('--annotations', metavar='GT.json', help='ground truth in COCO format')
    parser.add_argument('--results', metavar='DT.json', help='detections in COCO format')
    parser.add_argument('--images', metavar='FOLDER', help='of the annotated images')
    add_scores(parser)
    parser.add_argument(
        '--boundary', action='store_true', help='also boundary AP; with --results alone, and slow'
    )
    parser.add_argument(
        '--out', type=Path, metavar='FOLDER', help='folder of the page (work_dirs/NAME/report)'
    )
    parser.add_argument('--name', help="the model's name on the page (that of its file)")
    add_cases(parser, default=6)
    parser.add_argument(
        '--figure', type=Path, metavar='FILE', help='picture of the gist: .png, .svg or .pdf'
    )
    add_json(parser)
    add_config_options(parser)


def add_scores(parser: argparse.ArgumentParser) -> None:
    """Adds ``--score``."""
    parser.add_argument(
        '--score',
        nargs='+',
        metavar='KEY',
        help='keys of the results to rank by (score, and mask_score where it is there)',
    )


def add_cases(parser: argparse.ArgumentParser, default: int) -> None:
    """Adds ``--cases``."""
    parser.add_argument(
        '--cases',
        type=_case_count,
        default=default,
        metavar='COUNT',
        help=f'masks of each kind in the gallery, 0 to {MAX_CASES} (%(default)s)',
    )


def _case_count(text: str) -> int:
    if not text.isdecimal() or int(text) > MAX_CASES:
        raise argparse.ArgumentTypeError(f'{text}: give 0 to {MAX_CASES}')
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Judges the model, prints its figures and writes the page."""
    check(args)
    out = args.out or default_folder(args)
    page = out / PAGE_NAME
    for path in filter(None, [page, args.json, args.figure]):
        require_writable(path)
    judged = judge(args, out)
    show([judged.model])
    if judged.pairs_file is None:
        judged.model.result.matches.save(out / PAIRS_NAME)
        judged = replace(judged, pairs_file=out / PAIRS_NAME)
    try:
        status = write(args, judged, page)
    except (OSError, ValueError) as error:
        raise ValueError(
            f'{error}. The matches are kept: msrcnn report {judged.pairs_file} goes on from them'
        ) from error
    print(f'matches  {judged.pairs_file}\npage     {page}')
    return status


def check(args: argparse.Namespace) -> None:
    """Raises a ValueError or an OSError where the arguments do not name one model."""
    suffixes = [Path(path).suffix for path in args.inputs]
    files = bool(args.annotations), bool(args.results)
    if not args.inputs and not all(files):
        raise ValueError(
            'give CONFIG CHECKPOINT, or PAIRS.npz, or --annotations GT.json --results DT.json'
        )
    if len(suffixes) == 1 and suffixes != ['.npz']:
        raise ValueError(f'{args.inputs[0]}: give CONFIG CHECKPOINT, or a PAIRS.npz')
    if len(suffixes) == 2 and (any(files) or args.images):
        raise ValueError('--annotations, --results and --images go without a CONFIG, which has its')
    if len(suffixes) > 2:
        raise ValueError(f'{len(suffixes)} files: give CONFIG CHECKPOINT, or a PAIRS.npz')
    if len(suffixes) == 1 and any(given := [*files, bool(args.images)]) and not all(given):
        raise ValueError('a gallery needs --annotations, --results and --images together')
    if args.boundary and args.inputs:
        raise ValueError('--boundary needs the masks: give --annotations and --results alone')
    if args.figure and args.figure.suffix not in FIGURE_SUFFIXES:
        raise ValueError(f'--figure {args.figure}: end it in one of {", ".join(FIGURE_SUFFIXES)}')
    require_files([*args.inputs, args.annotations, args.results])
    if args.images and not Path(args.images).is_dir():
        raise NotADirectoryError(f'--images {args.images}: there is no such folder')


def default_folder(args: argparse.Namespace) -> Path:
    """Returns the folder of the pairs, or one named after the config or the results."""
    if len(args.inputs) == 1:
        return Path(args.inputs[0]).parent
    named = args.inputs[0] if args.inputs else args.results
    return Path('work_dirs') / Path(named).stem / 'report'


def judge(args: argparse.Namespace, out: Path) -> Judged:
    """Computes the figures from what the arguments name."""
    if len(args.inputs) == 2:
        from ..apis import evaluate_checkpoint

        config, checkpoint = args.inputs
        test = evaluate_checkpoint(config, checkpoint, out, cfg_options=args.cfg_options)
        return judged_by_test(args.name or Path(config).stem, test)
    if args.inputs:
        judged = judged_by_matches(args.name, args.inputs[0])
    else:
        judged = judged_by_results(
            args.name, args.annotations, args.results, args.score, boundary=args.boundary
        )
    return replace(judged, annotations=args.annotations, images=args.images, results=args.results)


def judged_by_test(name: str, test: CheckpointEvaluation) -> Judged:
    """Describes a checkpoint that was tested."""
    from ..visualization.report import MASK_SCORE, ReportedModel, box_ap

    model = ReportedModel(
        name,
        test.result,
        box_ap=box_ap(test.figures),
        score_name=MASK_SCORE if test.writes_mask_scores else '',
    )
    return Judged(model, test.pairs_file, test.ann_file, test.image_folder, test.results_file)


def judged_by_matches(name: str | None, path: str | Path) -> Judged:
    """Reads a pairs file; the model is named after its folder."""
    from ..evaluation import MaskScoringResult, Matches
    from ..visualization.report import ReportedModel

    result = MaskScoringResult.from_matches(Matches.load(path))
    return Judged(ReportedModel(name or Path(path).resolve().parent.name, result), Path(path))


def judged_by_results(
    name: str | None,
    annotations: str,
    results: str,
    scores: list[str] | None,
    *,
    boundary: bool = False,
) -> Judged:
    """Evaluates a results file in COCO format; the model is named after the file."""
    from ..evaluation import evaluate_coco
    from ..visualization.report import ReportedModel

    scores_read = scores or ('score', 'mask_score')
    result = evaluate_coco(annotations, results, scores_read, boundary=boundary)
    missing = set(scores or ()) - set(result.matches.scores)
    if missing and len(result.matches):
        raise ValueError(
            f'--score: no result in {results} has the key {", ".join(sorted(missing))}'
        )
    return Judged(ReportedModel(name or Path(results).stem, result))


def show(models: list[ReportedModel]) -> None:
    """Prints the headline and the tables of the models."""
    from ..visualization.report import ap_table, headline
    from ..visualization.report.tables import facts_table, measures_table

    print(f'{headline(models)}\n')
    tables = [ap_table(models), facts_table(models)]
    if any(model.result.boundary for model in models):
        tables.append(measures_table(models))
    for table in tables:
        if table is not None:
            print_table(table)
    if len(models) == 1:  # of several, the table says it
        show_calibration(models[0])


def show_calibration(model: ReportedModel) -> None:
    """Prints how far each score is from the true IoU, which it is read as."""
    from ..visualization.palette import written

    names = dict(score=model.score_name, mask_iou='predicted IoU')
    names['uncalibrated_mask_iou'] = 'predicted IoU before calibration'
    for key, quality in model.result.overall().quality.items():
        name = names.get(key, key.replace('_', ' '))
        print(f'calibration error (ECE) of {name}: {written(quality.ece, 3)}')
    print()


def write(args: argparse.Namespace, judged: Judged, page: Path) -> int:
    """Writes JSON, picture and page; returns 2 where the gallery is missing from it."""
    from ..visualization.report import figures_of, overview_figure, render_report, write_report

    if args.json:
        write_json(args.json, figures_of([judged.model]))
    if args.figure:
        with atomic_write(args.figure) as stream:
            figure = overview_figure(judged.model)
            figure.savefig(stream, format=args.figure.suffix[1:], dpi=FIGURE_DPI)
    model, problem = with_gallery(judged, args.cases)
    if problem:
        print(f'msrcnn report: {problem}', file=sys.stderr)
    write_report(page, render_report([model], command=shown_command('report', args.words)))
    return 2 if problem else 0


def with_gallery(judged: Judged, count: int) -> tuple[ReportedModel, str]:
    """Returns the model with its gallery; or without one, and the reason where that failed."""
    from ..visualization import read_gallery

    model = judged.model
    if not (count and judged.annotations and judged.images and judged.results):
        return model, ''
    files = judged.annotations, judged.images, judged.results
    try:
        return replace(model, gallery=read_gallery(model.result.matches, *files, count=count)), ''
    except (OSError, ValueError) as error:
        return model, f'the page of {model.name} has no gallery: {" ".join(str(error).split())}'
