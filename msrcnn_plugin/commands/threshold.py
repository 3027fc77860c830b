"""Finds the lowest score from which on masks are good, and proves it.

  msrcnn threshold PAIRS.npz
  msrcnn threshold --annotations GT.json --results DT.json

The promise: in an image, on average, at least 90 % of the kept masks have an IoU of 0.7 or more.
It holds with 95 % confidence for images like those that were given, whatever the model. Give images
that the model was not trained on. Images count, not masks: some 50 prove little, a few hundred do.

--json FILE is what `msrcnn review --threshold FILE` and MaskScoringInferencer take.
Exit status 1: no threshold keeps the promise.

example:
  msrcnn threshold --annotations val.json --results detections.json --json threshold.json
"""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING, Any

from ..files import require_writable, write_json
from .arguments import add_json, fraction, require_files

if TYPE_CHECKING:
    from ..evaluation import Matches, ScoreThreshold

NO_THRESHOLD = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `msrcnn threshold`."""
    parser.add_argument('pairs', nargs='?', metavar='PAIRS.npz', help='the matches of a test')
    parser.add_argument('--annotations', metavar='GT.json', help='ground truth in COCO format')
    parser.add_argument('--results', metavar='DT.json', help='detections in COCO format')
    parser.add_argument(
        '--score', metavar='KEY', help='in [0, 1] (mask_score where it is there, else score)'
    )
    for name, default, text in (
        ('iou', 0.7, 'a mask is good from this IoU on'),
        ('precision', 0.9, 'share of good masks to promise'),
        ('confidence', 0.95, 'chance that the promise holds'),
    ):
        parser.add_argument(
            f'--{name}', type=fraction, default=default, help=f'{text} (%(default)s)'
        )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Prints the threshold, its promise and what it keeps."""
    files = args.annotations, args.results
    if bool(args.pairs) == any(files) or any(files) != all(files):
        raise ValueError('give PAIRS.npz, or --annotations GT.json and --results DT.json')
    require_files([args.pairs, *files])
    if args.json:
        require_writable(args.json)
    matches = _read(args)
    key = args.score or ('mask_score' if 'mask_score' in matches.scores else 'score')
    if key not in matches.scores:
        raise ValueError(f'--score {key}: there are {", ".join(matches.scores)}')
    found = _find(args, matches, key)
    figures = _figures(matches, key, found)
    print(_promise(figures) if found.found else _refusal(args, matches, key))
    if args.json:
        write_json(args.json, figures)
    return 0 if found.found else NO_THRESHOLD


def _read(args: argparse.Namespace) -> Matches:
    from ..evaluation import Matches, match_coco

    if args.pairs:
        return Matches.load(args.pairs)
    scores = ('score', args.score or 'mask_score')
    return match_coco(args.annotations, args.results, scores)


def _find(args: argparse.Namespace, matches: Matches, key: str) -> ScoreThreshold:
    from ..evaluation import find_threshold

    return find_threshold(
        matches.scores[key],
        matches.true_iou,
        matches.image,
        min_iou=args.iou,
        good_share=args.precision,
        confidence=args.confidence,
    )


def _figures(matches: Matches, key: str, found: ScoreThreshold) -> dict[str, Any]:
    """Fit for JSON; an object is kept where a good mask of it is."""
    good = matches.scores[key] >= found.value  # of NaN none
    good &= (matches.true_iou >= found.min_iou) & (matches.best_gt >= 0)
    return dict(
        score=key,
        threshold=found.value if found.found else None,
        min_iou=found.min_iou,
        good_share=found.good_share,
        confidence=found.confidence,
        images=found.images,
        masks=len(matches),
        kept=found.kept,
        kept_good=found.kept_good,
        objects=int((~matches.gt_crowd).sum()),
        kept_objects=len(set(matches.best_gt[good].tolist())),
    )


def _promise(figures: dict[str, Any]) -> str:
    shares = {name: _percent(figures[name]) for name in ('good_share', 'confidence')}
    return (
        'Keep masks with {score} >= {threshold:.2f}.\n'
        'In an image, on average, at least {good_share} of them have an IoU of {min_iou} or more '
        '(confidence {confidence}, from {images} images).\n'
        'Of these images it keeps {kept} of {masks} masks, {kept_good} of them good, and finds '
        '{kept_objects} of {objects} objects.'
    ).format(**{**figures, **shares})


def _refusal(args: argparse.Namespace, matches: Matches, key: str) -> str:
    """Says how close the data comes to a proof, and how many images one needs at the least."""
    import numpy as np

    from ..evaluation.threshold import STARTS, THRESHOLDS, bad_mean_p_values, bad_shares

    bad, images = bad_shares(matches.scores[key], matches.true_iou >= args.iou, matches.image)
    # Of two equally close the one that keeps more images.
    closest = np.lexsort((-images, bad_mean_p_values(bad, images, 1 - args.precision)))[0]
    needed = math.ceil(math.log((1 - args.confidence) / len(STARTS)) / math.log(args.precision))
    return (
        f'No threshold of {key} keeps the promise. The closest is {THRESHOLDS[closest]:.2f}: '
        f'{_percent(1 - bad[closest])} of the masks that it keeps in an image are good, on average '
        f'over {images[closest]} images; {_percent(args.precision)} are promised.\n'
        f'A proof takes {needed} images without a bad mask, and more with some. '
        'Give more images, or lower --precision, --iou or --confidence.'
    )


def _percent(share: float) -> str:
    return f'{100 * share:.3g} %'
