"""Adds mask scores to a trained model, in minutes.

Detects once in the training images of CONFIG, trains a MaskIoU head and a ranking head on what was
detected, and judges them on images held out. OUT.pth is CHECKPOINT with the two heads; every other
weight is the same to the bit. OUT.py, a few lines over CONFIG, runs it. OUT.html is the page of the
images held out, OUT.npz their matches, and OUT_cache/ holds the detections: a call that was
interrupted goes on from there. Delete it when you are content.

More minutes help until some two thousand steps of the MaskIoU head are taken.

example:
  msrcnn fit my_mask_rcnn.py epoch_12.pth work_dirs/scored.pth --minutes 15
  torchrun --nproc-per-node 2 -m msrcnn_plugin fit my_mask_rcnn.py epoch_12.pth scored.pth
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from ..files import require_writable, write_json
from .arguments import add_config_options, add_json, require_files, shown_command
from .report import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `msrcnn fit`."""
    parser.add_argument('config', metavar='CONFIG', help='of the trained model')
    parser.add_argument('checkpoint', metavar='CHECKPOINT', help='its weights')
    parser.add_argument('out', type=Path, metavar='OUT.pth', help='checkpoint to write')
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        '--minutes', type=float, default=15, help='for everything (%(default)s); a GPU needs fewer'
    )
    length.add_argument(
        '--steps',
        type=int,
        help='of the MaskIoU head, in place of minutes: the same again each time',
    )
    parser.add_argument(
        '--held-out',
        type=float,
        default=0.15,
        metavar='SHARE',
        help='of the training images that calibrate and judge (%(default)s)',
    )
    parser.add_argument(
        '--cache-gb',
        type=float,
        default=16,
        metavar='GB',
        help='of disk for features; images that do not fit are left out by chance (%(default)s)',
    )
    add_json(parser)
    add_config_options(parser)


def run(args: argparse.Namespace) -> int:
    """Fits, prints the figures and writes the page."""
    require_files([args.config, args.checkpoint])
    for path in filter(None, [args.out.with_suffix('.html'), args.json]):
        require_writable(path)
    from ..apis.fit import fit
    from ..visualization.report import ReportedModel, figures_of, render_report, write_report

    fitted = fit(
        args.config,
        args.checkpoint,
        args.out,
        minutes=args.minutes,
        steps=args.steps,
        held_out=args.held_out,
        cache_gb=args.cache_gb,
        cfg_options=args.cfg_options,
    )
    if int(os.environ.get('RANK', 0)):
        return 0  # the first process tells
    facts = fitted.facts
    model = ReportedModel(args.out.stem, fitted.result, facts={'steps': facts['head_steps']})
    left_out = facts['images'] - facts['detected_images']
    if left_out:
        print(f'{left_out} of {facts["images"]} images, drawn by chance, were left out for lack of')
        print('time or disk: give more --minutes or --cache-gb, and the same command goes on')
    print(f'On {facts["held_out_images"]} training images held out:')
    show([model])
    gain = fitted.gain
    print(
        f'gain in mask AP {100 * gain.gain:+.1f}, '
        f'95 % interval {100 * gain.low:+.1f} to {100 * gain.high:+.1f}'
    )
    page = args.out.with_suffix('.html')
    write_report(page, render_report([model], command=shown_command('fit', args.words)))
    if args.json:
        interval = dict(gain=gain.gain, low=gain.low, high=gain.high)
        write_json(args.json, {**figures_of([model]), 'gain': interval, 'fit': facts})
    print(f'checkpoint  {fitted.checkpoint}\nconfig      {fitted.config}\npage        {page}')
    return 0
