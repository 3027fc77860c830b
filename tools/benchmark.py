"""Speed and memory of MS R-CNN with this plugin against mmdet's own heads (`make bench`).

Everything is measured in one run, on the same scene and weights, the cases taking turns; peak
memory on the CPU is that of a process for each case. Ends with the goals and what was reached.
"""

import argparse
import json
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))  # started as a script, from anywhere

SUITES = ('targets', 'roi_head_train', 'train_step', 'predict', 'head_only', 'rankings')


def size(text):
    """(H, W) of a text such as 800x1333."""
    height, _, width = text.partition('x')
    return at_least(32)(height), at_least(32)(width)


def at_least(smallest):
    """A type of argument: whole numbers from ``smallest``."""

    def number(text):
        if not text.isdigit() or int(text) < smallest:
            raise argparse.ArgumentTypeError(f'{text!r}: give a whole number, {smallest} or more')
        return int(text)

    return number


def parse_args(argv=None):
    from tools.arguments import Parser

    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--suite',
        action='append',
        choices=(*SUITES, 'hosts'),
        help='measure only this; may be repeated (all but hosts, a quarter of an hour by itself)',
    )
    parser.add_argument('--device', choices=('cpu', 'cuda'), help='cuda where there is one')
    parser.add_argument('--rounds', type=at_least(1), help='of every suite (as each needs)')
    parser.add_argument('--threads', type=at_least(1), help="of the CPU (torch's choice)")
    parser.add_argument(
        '--image-size', type=size, default=(800, 1333), metavar='HxW', help='(800x1333)'
    )
    parser.add_argument('--objects', type=at_least(1), default=20, help='in an image (%(default)s)')
    parser.add_argument(
        '--positives', type=at_least(1), default=128, help='of an image (%(default)s)'
    )
    parser.add_argument('--small', action='store_true', help='narrow networks, to try this out')
    parser.add_argument(
        '--compile', action='store_true', help='the MaskIoU head under torch.compile as well'
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the results there')
    # SUITE/CASE: print the peak memory of its sections as JSON; how this file starts itself.
    parser.add_argument('--peak-of', help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.json and not args.json.absolute().parent.is_dir():
        parser.error(f'--json {args.json}: there is no folder {args.json.parent}: make it')
    choose_device(parser, args)
    return args


def choose_device(parser, args):
    if args.device == 'cpu':
        return
    import torch

    present = torch.cuda.is_available()
    if args.device == 'cuda' and not present:
        parser.error('--device cuda: torch sees no CUDA device here: leave it out')
    args.device = 'cuda' if present else 'cpu'


def main(argv=None):
    argv = sys.argv[1:] if argv is None else list(argv)
    args = parse_args(argv)
    # Here, so that --help and wrong arguments are answered at once.
    import torch

    from tools.benchmarking.run import Run, peaks_of
    from tools.benchmarking.suites import Settings

    if args.threads:
        torch.set_num_threads(args.threads)
    names = ('device', 'image_size', 'objects', 'positives', 'rounds', 'small')
    settings = Settings(**{name: getattr(args, name) for name in names})
    if args.peak_of:
        print(json.dumps(peaks_of(args.peak_of, settings)))
        return 0
    run = Run(settings, console(), [sys.executable, __file__, *argv], args.json)
    suites = list(dict.fromkeys(args.suite or SUITES)) + ['compile'] * args.compile
    return measure(run, suites)


def console():
    """Of the terminal's width, or wide enough for the tables where there is none."""
    from rich.console import Console

    return Console() if sys.stdout.isatty() else Console(width=118)


def measure(run, suites):
    """Exit status of the run; an interrupted one shows what it has."""
    try:
        run.measure(suites)
    except KeyboardInterrupt:
        run.console.print('interrupted: what follows is what was finished')
    run.show_goals()
    return 0 if run.results['finished'] else 130


if __name__ == '__main__':
    sys.exit(main())
