"""One self-contained HTML page of what the scoring of a model's masks is worth.

report.py CONFIG CHECKPOINT    tests the checkpoint once on the config's test set; any instance
                               segmentation model of mmdet on COCO-format data will do
report.py PAIRS_FILE           draws what an earlier test left, in seconds; with --annotations,
                               --images and --predictions the gallery, too
"""

import argparse
import json
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))  # started as a script, from anywhere

FIGURE_DPI, FIGURE_SUFFIXES = 110, ('.png', '.svg', '.pdf')
MOST_CASES = 24  # of each kind; a page is to stay below 5 MB
GALLERY_FILES = ('annotations', 'images', 'predictions')


def parse_args(argv=None):
    from tools.arguments import Parser

    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('inputs', nargs='+', type=Path, metavar='FILE', help='see above')
    parser.add_argument(
        '--out', type=Path, metavar='FILE', help='the page (report.html beside the pairs)'
    )
    parser.add_argument(
        '--work-dir',
        type=Path,
        metavar='FOLDER',
        help="where a test leaves its pairs and masks (work_dirs/CONFIG'S NAME/report)",
    )
    parser.add_argument('--name', help="the model's name (the file's)")
    parser.add_argument('--annotations', type=Path, help='COCO annotations, with PAIRS_FILE')
    parser.add_argument('--images', type=Path, help='folder of the images, with PAIRS_FILE')
    parser.add_argument(
        '--predictions', type=Path, help='PREFIX.segm.json of the same test, with PAIRS_FILE'
    )
    parser.add_argument(
        '--cases',
        type=int,
        default=6,
        help='masks of each kind in the gallery; 0 for none (%(default)s)',
    )
    parser.add_argument(
        '--figure', type=Path, metavar='FILE', help='a picture of the gist, .png, .svg or .pdf'
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures there')
    parser.add_argument(
        '--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='changes to the config'
    )
    args = parser.parse_args(argv)
    args.given = sys.argv[1:] if argv is None else list(argv)
    check_args(parser, args)
    check_outputs(parser, args)
    return args


def check_outputs(parser, args):
    """Refuse, before the test, to write into a folder that is not there."""
    for name in ('out', 'json', 'figure'):
        path = getattr(args, name)
        if path and not path.absolute().parent.is_dir():
            parser.error(f'--{name} {path}: there is no folder {path.parent}: make it')
    if args.figure and args.figure.suffix not in FIGURE_SUFFIXES:
        parser.error(f'--figure {args.figure}: end it in one of {", ".join(FIGURE_SUFFIXES)}')


def check_args(parser, args):
    """Refuse what does not go together, before anything is imported or tested."""
    given = [name for name in GALLERY_FILES if getattr(args, name)]
    if len(args.inputs) > 2:
        parser.error(f'{len(args.inputs)} files: give CONFIG CHECKPOINT, or a PAIRS_FILE')
    if len(args.inputs) == 1 and args.inputs[0].suffix != '.npz':
        parser.error(f'{args.inputs[0]}: give CONFIG CHECKPOINT, or a PAIRS_FILE that ends in .npz')
    if len(args.inputs) == 2 and given:
        parser.error(f'--{given[0]} goes with a PAIRS_FILE: CONFIG knows its own data')
    if given and len(given) < len(GALLERY_FILES):
        parser.error('the gallery needs --annotations, --images and --predictions together')
    if not 0 <= args.cases <= MOST_CASES:
        parser.error(f'--cases {args.cases}: give 0 to {MOST_CASES}')
    for option in args.cfg_options:
        if '=' not in option:
            parser.error(f'--cfg-options {option}: give KEY=VALUE')
    for path in (*args.inputs, *filter(None, [args.annotations, args.predictions])):
        if not path.is_file():
            parser.error(f'{path}: no such file')


def tested(args):
    """The model that CONFIG and CHECKPOINT make, tested; and the files that it left."""
    from msrcnn_plugin.apis import run_scored_test
    from msrcnn_plugin.visualization.report import MASK_SCORE, ReportedModel, box_ap

    config, checkpoint = args.inputs
    work_dir = args.work_dir or Path('work_dirs') / config.stem / 'report'
    test = run_scored_test(config, checkpoint, work_dir, cfg_options=config_changes(args))
    model = ReportedModel(
        args.name or config.stem,
        test.result,
        box_ap=box_ap(test.figures),
        score_name=MASK_SCORE if test.writes_mask_scores else '',
    )
    return model, test.pairs_file, (test.ann_file, test.image_folder, test.results_file)


def config_changes(args):
    """``--cfg-options`` as mmengine reads them: numbers, lists, dotted keys."""
    from mmengine.config import DictAction

    parser = argparse.ArgumentParser()
    parser.add_argument('options', nargs='*', action=DictAction)
    return parser.parse_args(args.cfg_options).options


def loaded(args):
    """The model of a pairs file, and the files that its gallery needs."""
    from msrcnn_plugin.evaluation import MaskScoringPairs, MaskScoringResult
    from msrcnn_plugin.visualization.report import ReportedModel

    (path,) = args.inputs
    result = MaskScoringResult.from_pairs(MaskScoringPairs.load(path))
    model = ReportedModel(args.name or path.resolve().parent.name, result)
    return model, path, (args.annotations, args.images, args.predictions)


def report(args):
    """Makes the page and the JSON; returns their paths by name."""
    from dataclasses import replace

    from msrcnn_plugin.files import atomic_write
    from msrcnn_plugin.shown_path import shown_command
    from msrcnn_plugin.visualization import read_gallery
    from msrcnn_plugin.visualization.report import (
        ap_table,
        figures_of,
        lead,
        markdown,
        overview_figure,
        render_report,
        write_report,
    )

    model, pairs_file, files = tested(args) if len(args.inputs) == 2 else loaded(args)
    paths = {'page': args.out or pairs_file.with_name('report.html'), 'pairs': pairs_file}
    if args.json:
        paths['figures'] = args.json
        with atomic_write(args.json) as stream:
            stream.write(json.dumps(figures_of([model]), indent=2).encode())
    if args.figure:
        paths['figure'] = args.figure
        with atomic_write(args.figure) as stream:
            overview_figure(model).savefig(stream, format=args.figure.suffix[1:], dpi=FIGURE_DPI)
    if args.cases and all(files):
        try:
            gallery = read_gallery(model.result.pairs, *files, count=args.cases)
        except (OSError, ValueError) as error:
            raise ValueError(f'no gallery: {error}. {kept(pairs_file)}') from error
        model = replace(model, gallery=gallery)
    command = shown_command('tools/report.py', args.given)
    write_report(paths['page'], render_report([model], command=command))
    print(f'{lead([model])}\n\n{markdown(ap_table([model]))}\n')
    return paths


def kept(pairs_file):
    """What to do with a test whose gallery failed."""
    return (
        f'The test is kept in {pairs_file}: --cases 0 makes the page without a gallery, '
        f'tools/report.py {pairs_file} from these pairs'
    )


def main(argv=None):
    args = parse_args(argv)
    try:
        paths = report(args)
    except (OSError, ValueError) as error:
        print(f'report.py: {" ".join(str(error).split())}', file=sys.stderr)
        return 2
    for name, path in paths.items():
        print(f'{name:8} {path}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
