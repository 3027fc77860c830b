"""Calibrate the predicted MaskIoU of a trained model: fit a map to a test run, put it into OUT.

PAIRS is what MaskScoringMetric(pairs_file=...) wrote in a test on images that the model was neither
trained on nor will be judged by. OUT is CHECKPOINT with the map, an ordinary checkpoint with the
same weights; a config applies the map with

    model = dict(roi_head=dict(mask_iou_calibration=dict(type='MaskIoUCalibration')))

CHECKPOINT is read as weights alone; no code in it is run. What mmengine saved while training has
its logs beside them, which torch reads that way from 2.6 on.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
METHODS = ('isotonic', 'platt', 'beta')


def parse_args(argv=None):
    from tools.arguments import Parser

    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('pairs', type=Path, metavar='PAIRS', help='.npz of a test')
    parser.add_argument('checkpoint', type=Path, metavar='CHECKPOINT', help='.pth it tested')
    parser.add_argument('out', type=Path, metavar='OUT', help='.pth to write')
    parser.add_argument('--method', choices=METHODS, default='isotonic', help='(%(default)s)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures there')
    args = parser.parse_args(argv)
    for path in (args.pairs, args.checkpoint):
        if not path.is_file():
            parser.error(f'{path}: there is no such file')
    for path in filter(None, (args.out, args.json)):
        if not path.absolute().parent.is_dir():
            parser.error(f'{path}: there is no folder {path.parent}: make it')
    return parser, args


def fitted(pairs_file, method):
    """The map, and what it does: figures before, and after on images held out from the fit."""
    from msrcnn_plugin.evaluation import (
        MaskScoringPairs,
        fit_iou_calibration,
        held_out_calibration,
    )

    pairs = MaskScoringPairs.load(pairs_file)
    predicted = pairs.model_iou
    if predicted is None:
        raise ValueError(f'{pairs_file} has no predicted MaskIoU: test a model with a MaskIoU head')
    calibration = fit_iou_calibration(predicted, pairs.true_iou, method)
    held_out = held_out_calibration(predicted, pairs.true_iou, pairs.image_id, method)
    figures = dict(
        method=method,
        detections=len(pairs),
        images=len(set(pairs.image_id.tolist())),
        before=errors(predicted, pairs.true_iou),
        after=errors(held_out, pairs.true_iou),
    )
    return calibration, figures


def errors(estimate, true_iou):
    from msrcnn_plugin.evaluation import expected_calibration_error, iou_error

    error = iou_error(estimate, true_iou)
    ece = expected_calibration_error(estimate, true_iou)
    return dict(ece=ece, mae=error.mae, rmse=error.rmse)


def calibrate(args):
    """Writes OUT and the JSON, and returns the figures."""
    import torch

    from msrcnn_plugin.checkpoints import read_content
    from msrcnn_plugin.files import atomic_write
    from msrcnn_plugin.models import calibrated_checkpoint

    calibration, figures = fitted(args.pairs, args.method)
    checkpoint = read_content(args.checkpoint)
    if not isinstance(checkpoint, Mapping):
        raise ValueError(
            f'{args.checkpoint} holds a {type(checkpoint).__name__}: give a checkpoint, a dict '
            'with a state_dict'
        )
    calibrated = calibrated_checkpoint(checkpoint, calibration.knots, calibration.values)
    # What is in there, for people; the map itself goes where the model looks for it.
    calibrated['meta'] = {**(checkpoint.get('meta') or {}), 'mask_iou_calibration': figures}
    with atomic_write(args.out) as stream:
        torch.save(calibrated, stream)
    if args.json:
        with atomic_write(args.json) as stream:
            stream.write(json.dumps(figures, indent=2).encode() + b'\n')
    return figures


def table(figures):
    """Figures before and after."""
    lines = [
        '{method} calibration, fitted to {detections} detections of {images} images'.format(
            **figures
        ),
        f'{"predicted against true MaskIoU":32} {"ECE":>6} {"MAE":>6} {"RMSE":>6}',
    ]
    rows = (('before', 'before'), ('after, on images held out', 'after'))
    for title, name in rows:
        values = ' '.join(f'{value:6.3f}' for value in figures[name].values())
        lines.append(f'{title:32} {values}')
    return '\n'.join(lines)


def main(argv=None):
    parser, args = parse_args(argv)
    try:
        figures = calibrate(args)
    except (OSError, ValueError, ImportError) as error:
        parser.error(' '.join(str(error).split()))
    print(table(figures))
    print(f'{args.out}: test it with')
    print('--cfg-options model.roi_head.mask_iou_calibration.type=MaskIoUCalibration')
    return 0


if __name__ == '__main__':
    sys.path.insert(0, str(REPOSITORY))  # started as a script, from anywhere
    sys.exit(main())
