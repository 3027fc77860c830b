"""Gives the masks of any model better scores, learnt from its results and the ground truth.

Fit once on results of annotated images, then apply to results of new images of the same model. The
files are COCO's; masks are needed, no model. Images that the model was not trained on are best.

`mask_score` ranks: duplicates and bad masks come last. `mask_iou` is the IoU to expect. `score`
stays, unless --replace-score writes the ranking to it. RESCORER is JSON without code.

example:
  msrcnn rescore fit --annotations gt.json --results dt.json --out rescorer.json
  msrcnn rescore apply rescorer.json dt_new.json --out dt_scored.json
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..files import atomic_write, require_writable, write_json
from .arguments import add_json, require_files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `msrcnn rescore`."""
    actions = parser.add_subparsers(metavar='fit|apply', required=True, dest='action')
    fit = actions.add_parser('fit', help='learn from the results of annotated images')
    fit.add_argument('--annotations', type=Path, required=True, metavar='GT.json')
    fit.add_argument('--results', type=Path, required=True, metavar='DT.json')
    fit.add_argument('--out', type=Path, required=True, metavar='RESCORER')
    fit.add_argument(
        '--feature',
        nargs='+',
        default=[],
        metavar='KEY',
        help='numbers of the results to learn from, beside `score`: mask_iou, stability_score, …',
    )
    fit.add_argument('--seed', type=int, default=0, help='(%(default)s)')
    add_json(fit)
    apply = actions.add_parser('apply', help='score the results of new images')
    apply.add_argument('rescorer', type=Path, metavar='RESCORER')
    apply.add_argument('results', type=Path, metavar='DT.json')
    apply.add_argument('--out', type=Path, required=True, metavar='SCORED.json')
    apply.add_argument(
        '--replace-score', action='store_true', help='write the mask score to `score` as well'
    )
    add_json(apply)


def run(args: argparse.Namespace) -> int:
    """Fits or applies a rescorer."""
    for path in filter(None, [args.out, args.json]):
        require_writable(path)
    return _fit(args) if args.action == 'fit' else _apply(args)


def _fit(args: argparse.Namespace) -> int:
    require_files([args.annotations, args.results])
    from ..evaluation import Rescorer

    rescorer = Rescorer(args.feature, random_state=args.seed)
    judged = rescorer.fit(args.annotations, args.results).judged_
    rescorer.save(args.out)
    print(f'{args.out}: {verdict(judged)}')
    if args.json:
        write_json(args.json, judged)
    return 0


def verdict(judged: dict[str, Any]) -> str:
    """Says in a sentence what to expect on new images."""
    text = (
        'mask AP {:.1f} instead of {:.1f} on images held out: {:+.1f}, 95 % interval '
        '{:+.1f} to {:+.1f}'
    ).format(*(100 * judged[key] for key in ('ap', 'ap_before', 'gain', 'low', 'high')))
    if judged['low'] > 0:
        return f'expect {text}'
    return f'do not use it: {text} holds 0'


def _apply(args: argparse.Namespace) -> int:
    require_files([args.rescorer, args.results])
    import msgspec

    from ..evaluation import Rescorer

    rescorer = Rescorer.load(args.rescorer)
    scored = rescorer.apply(args.results, replace_score=args.replace_score)
    with atomic_write(args.out) as stream:
        stream.write(msgspec.json.encode(scored))
    images = len({entry['image_id'] for entry in scored})
    print(f'{args.out}: {len(scored)} masks of {images} images scored')
    if args.json:
        write_json(args.json, {'detections': len(scored), 'images': images, **rescorer.judged_})
    return 0
