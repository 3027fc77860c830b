"""README's tables of studies, from configs/*/results.json (`make results`).

Replaces what stands in README between the lines

    <!-- results of configs/nuclei/results.json, by make results -->
    <!-- end of results -->

for each such file, and changes nothing else. With --check it only says whether README is up to date
(`make lint`). `tools/run_ablations.py --results` writes the files.
"""

import argparse
import json
import re
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
BEGIN = '<!-- results of {}, by make results -->'
END = '<!-- end of results -->'
BLOCK = re.compile(
    f'({BEGIN.format("(?P<file>[^ ]+)")}\n)(?:(?!<!-- results of ).)*?({END})', re.DOTALL
)
# Title, figure, factor, digits.
COLUMNS = (
    ('box AP', 'bbox_mAP', 100, 1),
    ('mask AP by class score', 'segm_mAP_cls', 100, 1),
    ('by predicted IoU', 'segm_mAP_iou', 100, 1),
    ('by mask score', 'segm_mAP', 100, 1),
    ('by the oracle', 'segm_mAP_oracle', 100, 1),
    ('gain', 'gain', 100, 2),
    ('Pearson', 'mask_iou_pearson', 1, 3),
    ('MAE', 'mask_iou_mae', 1, 3),
    ('ECE of IoU', 'mask_iou_ece', 1, 3),
    ('s an iteration', 'seconds_per_iter', 1, 2),
)


TEXT = ('run', 'model')


def parse_args(argv=None):
    from tools.arguments import Parser

    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--check', action='store_true', help='change nothing; exit 1 where README is out of date'
    )
    parser.add_argument(
        '--readme',
        type=Path,
        default=REPOSITORY / 'README.md',
        metavar='FILE',
        help='the files are looked for beside it',
    )
    return parser.parse_args(argv)


def read(path):
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(
            f'{path} is no JSON ({error}): write it anew with tools/run_ablations.py --results'
        ) from error


def records(path):
    """Those of a results file, by study."""
    return read(path.with_suffix('.runs.json'))


def tables(results, records):
    """Markdown: of each study a table, with what all its runs share said once, above it."""
    return '\n\n'.join(table(study, runs, records[study]) for study, runs in results.items())


def table(study, runs, records):
    """One line for each run, mean ± standard deviation over its seeds."""
    of_runs = {run: [record for record in records if record['run'] == run] for run in runs}
    columns = {
        'run': [f'`{run}`' for run in runs],
        'model': [model(found[0]) for found in of_runs.values()],
        'seeds': [str(most_seeds(figures)) for figures in runs.values()],
    }
    for title, figure, *form in COLUMNS:
        if any(figure in figures for figures in runs.values()):
            columns[title] = [cell(figures.get(figure), *form) for figures in runs.values()]
    for other in sorted({name for record in records for name in compared_with(record)}):
        columns[f'mask AP against `{other}`'] = [
            '; '.join(map(difference, found)) for found in of_runs.values()
        ]
    shared = [title for title, cells in columns.items() if len(set(cells)) == 1 < len(cells)]
    said = ', '.join(f'{title} {columns.pop(title)[0]}' for title in shared)
    head = [list(columns), ['---' if title in TEXT else '---:' for title in columns]]
    lines = [f'| {" | ".join(cells)} |' for cells in (*head, *zip(*columns.values()))]
    return '\n'.join([f'Study *{study}*{said and ", all runs: "}{said}', '', *lines])


def model(record):
    """Its title, and the paper's row that it repeats."""
    return record['title'] + (f' ({record["paper"]})' if record['paper'] else '')


def compared_with(record):
    return [record['difference']['run']] if record.get('difference') else []


def difference(record):
    """With its 95 % interval."""
    if not compared_with(record) or record['difference']['gain'] is None:
        return '–'
    gain, low, high = (100 * record['difference'][key] for key in ('gain', 'low', 'high'))
    return f'{gain:+.2f} ({low:+.2f} to {high:+.2f})'


def most_seeds(figures):
    return max((figure['seeds'] for figure in figures.values()), default=0)


def cell(figure, factor, digits):
    if figure is None:
        return '–'
    mean = f'{factor * figure["mean"]:.{digits}f}'
    return mean if figure['std'] is None else f'{mean} ± {factor * figure["std"]:.{digits}f}'


def with_tables(text, files, folder):
    """README's text with the table of each file between its markers.

    Args:
        files: results files, relative to ``folder``.

    Raises:
        ValueError: where a file has not exactly one pair of markers, or a pair no file.
    """
    named = [match['file'] for match in BLOCK.finditer(text)]
    for name in files:
        if named.count(name) != 1 or text.count(BEGIN.format(name)) != 1:
            raise ValueError(
                f'README has no place for {name}: put {BEGIN.format(name)} and {END} in it, once'
            )
    if set(named) - set(files):
        raise ValueError(f'README has a place for {", ".join(named)}, there is {", ".join(files)}')

    def filled(match):
        path = folder / match['file']
        try:
            shown = tables(read(path), records(path))
        except (AttributeError, LookupError, TypeError) as error:
            raise ValueError(
                f'{path} and its .runs.json do not fit each other ({type(error).__name__}: '
                f'{error}): write both anew with tools/run_ablations.py --results'
            ) from error
        return f'{match[1]}\n{shown}\n\n{match[3]}'

    return BLOCK.sub(filled, text)


def main(argv=None):
    args = parse_args(argv)
    folder = args.readme.parent
    files = sorted(str(path.relative_to(folder)) for path in folder.glob('configs/*/results.json'))
    try:
        current = args.readme.read_text()
        wanted = with_tables(current, files, folder)
    except (OSError, ValueError) as error:
        print(f'results_table.py: {error}', file=sys.stderr)
        return 2
    if current == wanted:
        print(f'{args.readme} is up to date with {len(files)} files of results')
        return 0
    if args.check:
        print(f'{args.readme} is older than its results: run `make results`', file=sys.stderr)
        return 1
    args.readme.write_text(wanted)
    print(f'{args.readme} has the results of {", ".join(files)} now')
    return 0


if __name__ == '__main__':
    sys.path.insert(0, str(REPOSITORY))  # started as a script, from anywhere
    sys.exit(main())
