"""Train and test a study: named configs with the same seeds, one after the other or some at a time.

Each run is trained and tested in processes of its own and leaves one JSON of its figures, with the
commit, the command and the versions that made them. A second call goes on at the last checkpoint of
what an interrupted one left; a run whose config, code, data or software has changed since it was
begun is refused, so that no table mixes them. msrcnn_plugin/studies/study.py says what a study is.
"""

import argparse
import shlex
import sys
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))  # started as a script, from anywhere

# Columns of the table: title, figure, factor, digits.
COLUMNS = (
    ('box AP', 'bbox_mAP', 100, 1),
    ('mask AP\nclass score', 'segm_mAP_cls', 100, 1),
    ('\npred. IoU', 'segm_mAP_iou', 100, 1),
    ('\nmask score', 'segm_mAP', 100, 1),
    ('\noracle', 'segm_mAP_oracle', 100, 1),
    ('gain', 'gain', 100, 2),
    ('Pearson', 'mask_iou_pearson', 1, 3),
    ('MAE', 'mask_iou_mae', 1, 3),
    ('ECE\nIoU', 'mask_iou_ece', 1, 3),
    ('ECE\nclass', 'cls_score_ece', 1, 3),
    ('s/iter', 'seconds_per_iter', 1, 3),
    ('MiB', 'peak_memory', 2**-20, 0),
)


def parse_args(argv=None):
    from tools.arguments import Parser

    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('study', type=Path, metavar='STUDY', help='a study file (.py)')
    parser.add_argument(
        '--work-dir',
        type=Path,
        metavar='FOLDER',
        help='where the runs are kept (work_dirs/studies/STUDY)',
    )
    parser.add_argument(
        '--jobs', type=int, default=1, metavar='N', help='runs at the same time (%(default)s)'
    )
    parser.add_argument(
        '--only',
        nargs='+',
        default=[],
        metavar='RUN',
        help='train and test these runs, NAME or NAME-SEED; the table has all that are done',
    )
    parser.add_argument(
        '--anew',
        action='store_true',
        help='start over those of these runs whose inputs have changed',
    )
    parser.add_argument(
        '--json', type=Path, metavar='FILE', help='write every run, and mean and spread, there'
    )
    parser.add_argument(
        '--results',
        type=Path,
        metavar='FILE',
        help="put the study's summary into this file, beside those of other sizes, and its runs "
        'into the .runs.json next to it',
    )
    parser.add_argument(
        '--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='changes to every config'
    )
    args = parser.parse_args(argv)
    args.words = sys.argv[1:] if argv is None else argv  # to be told with the results
    if not args.study.is_file():
        parser.error(f'{args.study}: no such file')
    if args.jobs < 1:
        parser.error(f'--jobs {args.jobs}: give 1 or more')
    for option in args.cfg_options:
        if '=' not in option:
            parser.error(f'--cfg-options {option}: give KEY=VALUE')
    return args


def planned(args):
    """The study as its file and the command line have it."""
    from mmengine.config import DictAction

    from msrcnn_plugin.studies import read_study, results_and_runs

    options = argparse.ArgumentParser()
    options.add_argument('--cfg-options', nargs='*', action=DictAction)
    try:
        changes = options.parse_args(['--cfg-options', *args.cfg_options]).cfg_options
    except AssertionError as error:  # of brackets
        raise ValueError(f'--cfg-options {" ".join(args.cfg_options)}: {error}') from error
    work_dir = args.work_dir or Path('work_dirs', 'studies', args.study.stem)
    study = read_study(args.study, work_dir, changes)
    if args.results and not study.size:
        raise ValueError(f'--results needs a size, its key there: set size in {args.study}')
    if args.results:
        results_and_runs(args.results)  # what cannot be read is told before hours of training
    return study


def run(args, study, console):
    """Train and test what is not done; what went wrong by run, and 130 where it was interrupted."""
    from msrcnn_plugin.studies import carry_out, only_call_in, prepare, provenance

    command = shlex.join(['python', 'tools/run_ablations.py', *args.words])
    made_by = provenance(command, args.jobs)
    runs = chosen(study.runs, args.only)
    with only_call_in(study.folder):
        prepare(runs, beside=study.runs, anew=args.anew)
        try:
            with display(study, console) as notify:
                return carry_out(runs, provenance=made_by, jobs=args.jobs, notify=notify), 0
        except KeyboardInterrupt:
            console.print('interrupted: call again to go on; what follows is what was finished')
            return {}, 130


def chosen(runs, only):
    """The runs of these names, or of these names and seeds; all for none."""
    names = {name: [run for run in runs if name in (run.name, run.folder.name)] for name in only}
    unknown = [name for name, found in names.items() if not found]
    if unknown:
        known = ', '.join(run.folder.name for run in runs)
        raise ValueError(f'--only {" ".join(unknown)}: no such run; the study has {known}')
    return [run for run in runs if not only or any(run in found for found in names.values())]


# --- while it runs -------------------------------------------------------------------------------


@contextmanager
def display(study, console):
    """Yields what takes each `Progress`: bars with the time left on a terminal, else lines."""
    if console.is_terminal:
        with progress_bars(study, console) as notify:
            yield notify
    else:
        yield lambda progress: print_line(progress, console)


def print_line(progress, console):
    """A line for every stage, none for the iterations between."""
    if not progress.iterations:
        line = f'{progress.run.label}: {progress.failure or progress.stage}'
        console.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def progress_bars(study, console):
    """One bar for the study and one for each run at work."""
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    text = [TextColumn('{task.description}'), BarColumn(), TextColumn('{task.percentage:3.0f} %')]
    # Long: a run is tested at another speed than it is trained.
    columns = [*text, TimeElapsedColumn(), TextColumn('left'), TimeRemainingColumn()]
    done = sum(run.record_file.is_file() for run in study.runs)
    shares, tasks = {}, {}
    with Progress(*columns, console=console, speed_estimate_period=3600) as bars:
        whole = bars.add_task(study.name, total=len(study.runs), completed=done)

        def notify(progress):
            label = progress.run.label
            if label not in tasks:
                tasks[label] = bars.add_task(label, total=1)
            ended = progress.stage in ('done', 'failed')
            trained = progress.iteration / (progress.iterations or 1)
            shares[label] = 1 if ended else max(trained, shares.get(label, 0))
            bars.update(
                tasks[label],
                description=f'{label}: {progress.stage}',
                completed=shares[label],
                visible=not ended,
            )
            bars.update(whole, completed=done + sum(shares.values()))
            if ended:
                print_line(progress, bars.console)

        yield notify


# --- what it says --------------------------------------------------------------------------------


def table(study, records):
    """Runs down, figures across: mean ± spread over the seeds."""
    from rich.markup import escape
    from rich.table import Table

    from msrcnn_plugin.studies import spreads

    found = spreads(records)
    shown = Table(
        title=f'{study.title}: mean ± standard deviation over seeds', title_justify='left'
    )
    shown.add_column('run', no_wrap=True)
    shown.add_column('seeds', justify='right')
    columns = [column for column in COLUMNS if any(column[1] in row for row in found.values())]
    for title, *_ in columns:
        shown.add_column(title, justify='right')
    rows = {run.name: run for run in reversed(study.runs)}
    for name, row in found.items():
        run = rows[name]
        title = f'{run.title} ({run.paper})' if run.paper else run.title
        seeds = sum(record['run'] == name for record in records)
        cells = (text(row.get(figure), *form) for _, figure, *form in columns)
        shown.add_row(escape(title), str(seeds), *cells)
    return shown


def text(spread, factor, digits):
    if spread is None:
        return '-'
    mean = f'{factor * spread.mean:.{digits}f}'
    return mean if spread.std is None else f'{mean} ± {factor * spread.std:.{digits}f}'


def gain_lines(records):
    """The gain of mask score over class score in each run, and how sure it is."""
    for record in records:
        gain = {key: value for key, value in record['gain'].items() if value is not None}
        if {'gain', 'low', 'high'} <= set(gain):
            low, mean, high = (100 * gain[key] for key in ('low', 'gain', 'high'))
            yield (
                f'{record["run"]}, seed {record["seed"]}: mask score over class score {mean:+.2f} '
                f'mask AP, 95 % interval {low:+.2f} to {high:+.2f} '
                f'(bootstrap over {gain["images"]} images)'
            )


def show(args, study, records, failures, console):
    """Table, intervals and JSON of what is done."""
    from msrcnn_plugin.files import write_json
    from msrcnn_plugin.studies import spreads

    if records:
        console.print(table(study, records))
        for line in gain_lines(records):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    if args.json:
        over_seeds = {
            run: {figure: asdict(spread) for figure, spread in found.items()}
            for run, found in spreads(records).items()
        }
        written = dict(study=study.name, title=study.title, runs=records, failed=failures)
        write_json(args.json, {**written, 'spreads': over_seeds})


def write_results(args, study, records, console):
    """Only of a whole study: else its spread would be of other seeds for each run."""
    from msrcnn_plugin.studies import add_to_results, with_differences

    if len(records) < len(study.runs):
        console.print(f'{args.results} stays as it is: not all runs are done')
        return
    runs_file = add_to_results(args.results, study.size, with_differences(study, records))
    console.print(f'{args.results} and {runs_file} have the results now', soft_wrap=True)


def main(argv=None):
    args = parse_args(argv)
    from rich.console import Console

    from msrcnn_plugin.studies import read_records

    console = Console() if sys.stdout.isatty() else Console(width=200)
    try:
        study = planned(args)
        failures, status = run(args, study, console)
        records = read_records(study.runs)
        show(args, study, records, failures, console)
        if args.results:
            write_results(args, study, records, console)
    except (OSError, ValueError) as error:
        print(f'run_ablations.py: {" ".join(str(error).split())}', file=sys.stderr)
        return 2
    return status or (1 if failures else 0)


if __name__ == '__main__':
    sys.exit(main())
