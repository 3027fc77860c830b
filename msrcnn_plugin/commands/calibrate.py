"""Calibrates the predicted IoU of a trained model.

Fits a monotone map from predicted to true IoU. Prints the errors before the map, and after it on
images that were held out. Give a test on images that the model was not trained on and will not be
judged by.

  msrcnn calibrate PAIRS.npz                   prints the errors
  msrcnn calibrate PAIRS.npz CHECKPOINT OUT    also writes CHECKPOINT with the map to OUT

OUT is an ordinary checkpoint with the same weights. A config applies the map with
model.roi_head.mask_iou_calibration=dict(type='MaskIoUCalibration'); a model without RoI heads has
model.mask_iou_calibration. CHECKPOINT is read as weights alone; no code in it is run. The JSON
holds the map, for numpy.interp(predicted, knots, values).

example:
  msrcnn calibrate work_dirs/my_config/report/pairs.npz epoch_12.pth calibrated.pth
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files import atomic_write, require_writable, write_json
from .arguments import add_json, print_table, require_files

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..evaluation import IoUCalibration

METHODS = ('isotonic', 'platt', 'beta')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `msrcnn calibrate`."""
    parser.add_argument('pairs', type=Path, metavar='PAIRS.npz', help='the matches of a test')
    parser.add_argument('checkpoint', type=Path, nargs='?', metavar='CHECKPOINT', help='as tested')
    parser.add_argument('out', type=Path, nargs='?', metavar='OUT', help='checkpoint to write')
    parser.add_argument('--method', choices=METHODS, default='isotonic', help='(%(default)s)')
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Fits the map, prints its effect and writes what was asked for."""
    if args.checkpoint and not args.out:
        raise ValueError('give CHECKPOINT and OUT, or neither')
    require_files([args.pairs, args.checkpoint])
    for path in filter(None, [args.out, args.json]):
        require_writable(path)
    calibration, figures = fit(args.pairs, args.method)
    checkpoint = args.checkpoint and _calibrated(args.checkpoint, calibration, figures)
    _show(figures)
    if args.json:
        knots, values = calibration.knots.tolist(), calibration.values.tolist()
        write_json(args.json, {**figures, 'knots': knots, 'values': values})
    if checkpoint:
        import torch

        with atomic_write(args.out) as stream:
            torch.save(checkpoint, stream)
        print(f'{args.out}: test it with')
        weights = checkpoint['state_dict']
        place = next(key for key in weights if key.endswith('mask_iou_calibration.knots'))
        print(f'--cfg-options model.{place.rpartition(".")[0]}.type=MaskIoUCalibration')
    return 0


def fit(pairs_file: Path, method: str) -> tuple[IoUCalibration, dict[str, Any]]:
    """Fits the map, and computes the errors before it, and after it on images held out."""
    from ..evaluation import Matches, fit_iou_calibration, held_out_calibration

    matches = Matches.load(pairs_file)
    predicted, true_iou = matches.head_iou, matches.true_iou
    if predicted is None:
        raise ValueError(f'{pairs_file} has no predicted IoU: test a model with a MaskIoU head')
    calibration = fit_iou_calibration(predicted, true_iou, method)
    held_out = held_out_calibration(predicted, true_iou, matches.image, method)
    figures = dict(
        method=method,
        detections=len(matches),
        images=len(set(matches.image.tolist())),
        before=_errors(predicted, true_iou),
        after=_errors(held_out, true_iou),
    )
    return calibration, figures


def _errors(predicted: NDArray, true_iou: NDArray) -> dict[str, float]:
    from ..evaluation import expected_calibration_error, iou_error

    error = iou_error(predicted, true_iou)
    ece = expected_calibration_error(predicted, true_iou)
    return dict(ece=ece, mae=error.mae, rmse=error.rmse)


def _calibrated(path: Path, calibration: IoUCalibration, figures: dict[str, Any]) -> dict[str, Any]:
    from ..checkpoints import read_content
    from ..models import calibrated_checkpoint

    checkpoint = read_content(path)
    knots, values = calibration.knots.tolist(), calibration.values.tolist()
    calibrated = calibrated_checkpoint(checkpoint, knots, values)
    # For people; the model reads the map from the weights.
    calibrated['meta'] = {**(checkpoint.get('meta') or {}), 'mask_iou_calibration': figures}
    return calibrated


def _show(figures: dict[str, Any]) -> None:
    from ..visualization.report import Cell, Table, number

    rows = tuple(
        (Cell(title), *(number(value, 3) for value in figures[name].values()))
        for title, name in (('before', 'before'), ('after, on images held out', 'after'))
    )
    print(
        '{method} calibration, fitted to {detections} detections of {images} images'.format(
            **figures
        )
    )
    title = 'predicted against true IoU'
    print_table(Table(title, (title, 'ECE', 'MAE', 'RMSE'), rows))
