"""README's table of the nuclei study, from configs/nuclei/results.json (`make results`).

Replaces what stands in README between the lines

    <!-- results of configs/nuclei/results.json, by make results -->
    <!-- end of results -->

and changes nothing else. With --check it only says whether README is up to date (`make lint`).
"""

import argparse
import json
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
BEGIN = '<!-- results of configs/nuclei/results.json, by make results -->'
END = '<!-- end of results -->'
MODELS = {
    'mask_rcnn': 'Mask R-CNN',
    'ms_rcnn': "mmdet's MS R-CNN",
    'plugin': 'MS R-CNN, this plugin',
}
# Title, figure, factor, digits.
COLUMNS = (
    ('box AP', 'bbox_mAP', 100, 1),
    ('mask AP by class score', 'segm_mAP_cls', 100, 1),
    ('predicted IoU', 'segm_mAP_iou', 100, 1),
    ('mask score', 'segm_mAP', 100, 1),
    ('oracle', 'segm_mAP_oracle', 100, 1),
    ('Pearson', 'mask_iou_pearson', 1, 2),
    ('MAE', 'mask_iou_mae', 1, 3),
    ('ECE of IoU', 'mask_iou_ece', 1, 3),
    ('s an iteration', 'seconds_per_iter', 1, 2),
)


class Parser(argparse.ArgumentParser):
    """Answers wrong arguments with one line and exit status 2."""

    def error(self, message):
        self.exit(2, f'{self.prog}: {message}; see --help\n')


def parse_args(argv=None):
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--check', action='store_true', help='change nothing; exit 1 where README is out of date'
    )
    parser.add_argument('--readme', type=Path, default=REPOSITORY / 'README.md', metavar='FILE')
    parser.add_argument(
        '--results',
        type=Path,
        default=REPOSITORY / 'configs' / 'nuclei' / 'results.json',
        metavar='FILE',
    )
    return parser.parse_args(argv)


def read_results(path):
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(
            f'{path} is no JSON ({error}): write it anew with tools/run_ablations.py --results'
        ) from error


def table(results):
    """Markdown; one line for each model of each size, mean ± standard deviation over seeds."""
    titles = ['size', 'model', 'seeds', *(title for title, *_ in COLUMNS)]
    lines = [titles, ['---', '---', *('---:' for _ in titles[2:])]]
    for size, models in results.items():
        for model, figures in models.items():
            seeds = max((figure['seeds'] for figure in figures.values()), default=0)
            cells = (cell(figures.get(figure), *form) for _, figure, *form in COLUMNS)
            lines.append([size, MODELS.get(model, model), str(seeds), *cells])
    return '\n'.join(f'| {" | ".join(cells)} |' for cells in lines)


def cell(figure, factor, digits):
    if figure is None:
        return '–'
    mean = f'{factor * figure["mean"]:.{digits}f}'
    return mean if figure['std'] is None else f'{mean} ± {factor * figure["std"]:.{digits}f}'


def with_table(readme, results):
    """README's text with the table of the results between its markers.

    Raises:
        ValueError: where the markers do not stand there once each, in their order.
    """
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or BEGIN in after or END in before + after:
        raise ValueError(f'README has no place for its results: put {BEGIN} and {END} in it, once')
    return f'{before}{BEGIN}\n\n{table(results)}\n\n{END}{after}'


def main(argv=None):
    args = parse_args(argv)
    if not args.results.is_file():
        print(f'{args.results} is not there yet, so README has no results to show')
        return 0
    try:
        current = args.readme.read_text()
        wanted = with_table(current, read_results(args.results))
    except (OSError, ValueError) as error:
        print(f'results_table.py: {error}', file=sys.stderr)
        return 2
    if current == wanted:
        print(f'{args.readme} is up to date with {args.results}')
        return 0
    if args.check:
        print(f'{args.readme} is older than {args.results}: run `make results`', file=sys.stderr)
        return 1
    args.readme.write_text(wanted)
    print(f'{args.readme} has the results of {args.results} now')
    return 0


if __name__ == '__main__':
    sys.exit(main())
