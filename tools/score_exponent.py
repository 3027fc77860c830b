"""Choose how much the class score counts in s_cls^exponent * s_iou, and judge the choice.

CHOOSE and JUDGE are what MaskScoringMetric(pairs_file=...) wrote in tests of one model on different
images. The exponent with the highest mask AP in CHOOSE is chosen; JUDGE says what it is worth there
against the paper's, 1. No model is changed: mask_scores stay the product.
"""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


def parse_args(argv=None):
    from tools.arguments import Parser

    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('choose', type=Path, metavar='CHOOSE', help='.npz of a test')
    parser.add_argument('judge', type=Path, metavar='JUDGE', help='.npz of a test on other images')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures there')
    args = parser.parse_args(argv)
    for path in (args.choose, args.judge):
        if not path.is_file():
            parser.error(f'{path}: there is no such file')
    if args.choose.samefile(args.judge):
        parser.error(f'{args.judge}: a choice is not judged by what it was made on: give another')
    if args.json and not args.json.absolute().parent.is_dir():
        parser.error(f'{args.json}: there is no folder {args.json.parent}: make it')
    return parser, args


def chosen(choose, judge):
    """AP by exponent on both, the exponent chosen on the first, and its gain on the second."""
    from msrcnn_plugin.evaluation import ap_by_exponent, best_exponent, bootstrap_gain

    ap = {'choose': ap_by_exponent(choose), 'judge': ap_by_exponent(judge)}
    best = best_exponent(ap['choose'])
    product, weighted = (judge.box_score**power * judge.model_iou for power in (1, best))
    gain = asdict(bootstrap_gain(judge, weighted, product))
    return dict(ap=ap, exponent=best, gain=gain)


def table(found):
    """A row for each exponent, and what the choice is worth."""
    lines = [f'{"exponent":>8} {"AP, CHOOSE":>11} {"AP, JUDGE":>11}']
    for exponent, ap in found['ap']['choose'].items():
        judged = found['ap']['judge'][exponent]
        lines.append(f'{exponent:8.2f} {100 * ap:11.2f} {100 * judged:11.2f}')
    low, gain, high = (100 * found['gain'][key] for key in ('low', 'gain', 'high'))
    lines.append(
        f'chosen: {found["exponent"]:g}; against 1 it gains {gain:+.2f} AP in JUDGE, '
        f'95 % interval {low:+.2f} to {high:+.2f}'
    )
    return '\n'.join(lines)


def main(argv=None):
    parser, args = parse_args(argv)
    from msrcnn_plugin.evaluation import MaskScoringPairs
    from msrcnn_plugin.files import write_json

    try:
        found = chosen(*map(MaskScoringPairs.load, (args.choose, args.judge)))
        if args.json:
            write_json(args.json, found)
    except (OSError, ValueError) as error:
        parser.error(' '.join(str(error).split()))
    print(table(found))
    return 0


if __name__ == '__main__':
    sys.path.insert(0, str(REPOSITORY))  # started as a script, from anywhere
    sys.exit(main())
