"""Plain Mask R-CNN, mmdet's MS R-CNN and this plugin's, side by side on one test set.

Mask AP of each model's masks under each ranking, calibration, time, memory and parameters, as a
table, as JSON and as a page. Each model is tested once, in a process of its own; what is tested is
kept, so a second call goes on where an interrupted one stopped, and tests again only what changed.
For speed alone, tools/benchmark.py is the better judge: it lets the models take turns.
"""

import argparse
import json
import math
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))  # started as a script, from anywhere

NAMES = dict(mask_rcnn='Mask R-CNN', ms_rcnn="mmdet's MS R-CNN", plugin='MS R-CNN, this plugin')
MEBI = 2**20
MOST_CASES = 24  # of each kind; a page is to stay below 5 MB


def parse_args(argv=None):
    from tools.arguments import Parser

    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option, name in NAMES.items():
        parser.add_argument(
            f'--{option.replace("_", "-")}', nargs=2, metavar=('CONFIG', 'CHECKPOINT'), help=name
        )
    parser.add_argument(
        '--model',
        nargs=3,
        action='append',
        default=[],
        metavar=('NAME', 'CONFIG', 'CHECKPOINT'),
        help='any other instance segmentation model of mmdet; may be repeated',
    )
    parser.add_argument(
        '--work-dir',
        type=Path,
        default=Path('work_dirs/compare'),
        metavar='FOLDER',
        help='where tests are kept (%(default)s)',
    )
    parser.add_argument(
        '--out', type=Path, metavar='FILE', help='the page (compare.html in the work dir)'
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures there')
    parser.add_argument(
        '--cases',
        type=int,
        default=4,
        help="masks of each kind in a model's gallery; 0 for none (%(default)s)",
    )
    parser.add_argument(
        '--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='changes to every config'
    )
    args = parser.parse_args(argv)
    args.given = sys.argv[1:] if argv is None else list(argv)
    check_args(parser, args)
    check_outputs(parser, args)
    return args


def check_args(parser, args):
    """Refuse what cannot be tested, before anything is."""
    named = [(name, getattr(args, option)) for option, name in NAMES.items()]
    args.models = [(name, *files) for name, files in named if files]
    args.models += [tuple(model) for model in args.model]
    names = [name for name, *_ in args.models]
    if not names:
        parser.error('no model: give --mask-rcnn, --ms-rcnn, --plugin or --model')
    if len(set(names)) < len(names):
        parser.error(f'models {", ".join(names)}: give each another name')
    if not 0 <= args.cases <= MOST_CASES:
        parser.error(f'--cases {args.cases}: give 0 to {MOST_CASES}')
    for option in args.cfg_options:
        if '=' not in option:
            parser.error(f'--cfg-options {option}: give KEY=VALUE')
    for path in (path for _, *files in args.models for path in files):
        if not Path(path).is_file():
            parser.error(f'{path}: no such file')


def check_outputs(parser, args):
    """Refuse, before any test, to write into a folder that is not there."""
    for name in ('out', 'json'):
        path = getattr(args, name)
        if path and not path.absolute().parent.is_dir():
            parser.error(f'--{name} {path}: there is no folder {path.parent}: make it')


# --- tests ---------------------------------------------------------------------------------------


def planned_tests(args):
    """The tests by name; all of one data set."""
    from mmengine.config import DictAction

    from msrcnn_plugin.apis import KeptTest

    options = argparse.ArgumentParser()
    options.add_argument('--cfg-options', nargs='*', action=DictAction)
    changes = options.parse_args(['--cfg-options', *args.cfg_options]).cfg_options
    tests = {
        name: KeptTest.of(config, checkpoint, args.work_dir, changes)
        for name, config, checkpoint in args.models
    }
    if len({test.annotations for test in tests.values()}) > 1:
        raise ValueError(
            f'{", ".join(tests)} are tested on different ground truth, so their figures do not '
            'compare: give configs whose test sets are the same'
        )
    return tests


def run_tests(tests, console, outcomes):
    """Fill ``outcomes``: by name what the test found, or the error that ended it."""
    from msrcnn_plugin.apis import ScoredTestError

    for number, (name, test) in enumerate(tests.items(), start=1):
        state = 'done before' if test.is_done else 'testing ...'
        console.print(f'{number}/{len(tests)} {name}: {state}', markup=False, highlight=False)
        try:
            outcomes[name] = test.run()
        except ScoredTestError as error:
            outcomes[name] = error
            console.print(f'{name} failed: {error}', markup=False, highlight=False, soft_wrap=True)


def reported(name, found):
    """The model as the page shows it."""
    from msrcnn_plugin.visualization.report import MASK_SCORE, ReportedModel, box_ap

    costs = {key.split('/')[1]: value for key, value in found.figures.items() if 'cost/' in key}
    facts = {
        'ms an image': 1000 * costs.get('seconds_per_image', math.nan),
        'peak memory (MiB)': costs.get('peak_memory', math.nan) / MEBI,
        'parameters (M)': costs['parameters'] / 1e6,
    }
    return ReportedModel(
        name,
        found.result,
        box_ap=box_ap(found.figures),
        facts=facts,
        score_name=MASK_SCORE if found.writes_mask_scores else '',
    )


def with_gallery(model, found, count, console):
    """The model with its gallery; without, and a word of why, where that fails."""
    from dataclasses import replace

    from msrcnn_plugin.visualization import read_gallery

    if not (count and found.image_folder):
        return model
    files = found.ann_file, found.image_folder, found.results_file
    try:
        return replace(model, gallery=read_gallery(found.result.pairs, *files, count=count))
    except (OSError, ValueError) as error:
        text = f'{model.name} has no gallery: {error}'
        console.print(text, markup=False, highlight=False, soft_wrap=True)
        return model


# --- what it says --------------------------------------------------------------------------------


def table(models):
    """Figures down, models across."""
    from rich.markup import escape
    from rich.table import Table

    shown = Table(title='AP in percent, with AP50 and AP75', title_justify='left')
    shown.add_column('')
    for model in models:
        shown.add_column(escape(model.name), justify='right')
    columns = [figures(model) for model in models]
    titles = dict.fromkeys(title for same in zip(*columns) for title, text in same if text)
    # One title can stand twice: mmdet's MS R-CNN has a mask score for its class score.
    texts = [{title: text for title, text in column if text} for column in columns]
    for title in titles:
        shown.add_row(title, *(text.get(title, '-') for text in texts))
    return shown


def figures(model):
    """Title and text of each figure, in the same order for every model; no text: not defined."""
    from msrcnn_plugin.visualization.palette import STYLES

    overall = model.result.overall()
    errors = {
        f'calibration error of {model.score_name}': overall.cls_score_ece,
        'calibration error of predicted IoU': overall.mask_iou_ece,
        'the same before calibration': overall.uncalibrated_iou_ece,
    }
    return [
        ('boxes', ap_text(model.box_ap)),
        *((f'masks by {model.ranking_name(key)}', ranked(model, key)) for key in STYLES),
        *((title, number(value, 3)) for title, value in errors.items()),
        *((title, number(value, 1)) for title, value in model.facts.items()),
    ]


def ranked(model, key):
    return ap_text(model.rankings[key].figures()) if key in model.rankings else ''


def ap_text(figures_by_suffix):
    """AP (AP50, AP75); no text where AP is undefined."""
    main, *others = (100 * figures_by_suffix.get(suffix, math.nan) for suffix in ('', '_50', '_75'))
    if math.isnan(main):
        return ''
    return f'{number(main, 1)} ({", ".join(number(other, 1) or "-" for other in others)})'


def number(value, digits):
    return '' if value is None or math.isnan(value) else f'{value:.{digits}f}'


def show(args, outcomes, console):
    """Table, JSON and page of the models that were tested; their paths by name."""
    from msrcnn_plugin.files import atomic_write
    from msrcnn_plugin.shown_path import shown_command
    from msrcnn_plugin.visualization.report import figures_of, lead, render_report, write_report

    found = {name: item for name, item in outcomes.items() if not isinstance(item, Exception)}
    failed = {name: str(item) for name, item in outcomes.items() if name not in found}
    models = [reported(name, test) for name, test in found.items()]
    paths = {}
    if args.json:
        paths['figures'] = args.json
        written = {**(figures_of(models) if models else {}), 'failed': failed}
        with atomic_write(args.json) as stream:
            stream.write(json.dumps(written, indent=2).encode() + b'\n')
    if models:
        console.print(table(models))
        console.print(lead(models), markup=False, highlight=False)
        paths['page'] = args.out or args.work_dir / 'compare.html'
        models = [with_gallery(m, found[m.name], args.cases, console) for m in models]
        command = shown_command('tools/compare.py', args.given)
        write_report(paths['page'], render_report(models, title='Comparison', command=command))
    return paths


def main(argv=None):
    args = parse_args(argv)
    from rich.console import Console

    console = Console() if sys.stdout.isatty() else Console(width=118)
    outcomes, interrupted = {}, False
    try:
        tests = planned_tests(args)
        try:
            run_tests(tests, console, outcomes)
        except KeyboardInterrupt:
            interrupted = True
            console.print('interrupted: call again to go on; what follows is what was finished')
        paths = show(args, outcomes, console)
    except (OSError, ValueError) as error:
        print(f'compare.py: {" ".join(str(error).split())}', file=sys.stderr)
        return 2
    for name, path in paths.items():
        print(f'{name:8} {path}')
    if interrupted:
        return 130
    return 1 if any(isinstance(item, Exception) for item in outcomes.values()) else 0


if __name__ == '__main__':
    sys.exit(main())
