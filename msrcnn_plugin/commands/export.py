"""Writes a trained model as an ONNX file, which runs without mmdet and torch.

The file holds standard operators only, and what a runtime has to know: classes, sizes, means,
calibration. It takes one image at a time. `msrcnn predict` and msrcnn_plugin.deploy run it.
Supported: Mask R-CNN, Dynamic R-CNN and PISA, with FPN or C4. Any other host is refused.

--check IMAGES predicts images with the host and with the file, and prints how far they differ and
how long they take, side by side.

Needs the package onnx, and --simplify onnxslim: pip install msrcnn_plugin[onnx]

example:
  msrcnn export my_config.py epoch_12.pth model.onnx
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..files import require_writable, write_json
from .arguments import add_config_options, add_json, require_files
from .review import image_files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `msrcnn export`."""
    parser.add_argument('config', type=Path, help='of a model with a MaskIoU head')
    parser.add_argument('checkpoint', type=Path, help='its weights')
    parser.add_argument('out', metavar='OUT.onnx', type=Path, help='file to write')
    parser.add_argument(
        '--head-only', action='store_true', help='the MaskIoU head alone, for masks from elsewhere'
    )
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument(
        '--size',
        nargs=2,
        type=int,
        metavar=('H', 'W'),
        help='of the only images that the file takes, with their padding',
    )
    sizes.add_argument(
        '--dynamic', action='store_true', help='images of any size (without --size, the default)'
    )
    parser.add_argument(
        '--with-preprocessing',
        action='store_true',
        help='normalise and pad in the file: it takes resized uint8 images, BGR',
    )
    parser.add_argument(
        '--simplify', action='store_true', help='merge and drop operators; needs onnxslim'
    )
    parser.add_argument(
        '--check', type=Path, metavar='IMAGES', help='compare the file with the host on images'
    )
    parser.add_argument('--threads', type=int, default=1, help='of --check (%(default)s)')
    add_config_options(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Exports the model and prints what was written."""
    require_files([args.config, args.checkpoint])
    alone = [args.size is not None, args.with_preprocessing, args.head_only]
    if sum(alone) > 1:
        raise ValueError('--size, --with-preprocessing and --head-only: give one of them at most')
    if args.check and args.head_only:
        raise ValueError('--check compares whole models: leave out --head-only')
    images = image_files(args.check) if args.check else []
    for path in filter(None, [args.out, args.json]):
        require_writable(path)
    from ..export.onnx_file import export_detector, export_head, require_onnxslim
    from ..export.trained_model import load_trained_model

    if args.simplify:
        require_onnxslim()
    model, metadata = load_trained_model(args.config, args.checkpoint, args.cfg_options)
    metadata.update(
        kind='head' if args.head_only else 'detector',
        preprocessing=args.with_preprocessing,
        size=_size(args.size, metadata['pad_size_divisor']),
    )
    if args.head_only:
        export_head(model, args.out, metadata, simplify=args.simplify)
    else:
        export_detector(
            model,
            args.out,
            metadata,
            size=metadata['size'],
            preprocessing=args.with_preprocessing,
            simplify=args.simplify,
        )
    record = dict(metadata, bytes=args.out.stat().st_size)
    print(f'{args.out}: {record["bytes"] / 2**20:.1f} MiB')
    if images:
        from ..export.check import check_file

        record['check'] = check_file(model, args.out, images, args.threads)
        _show(record['check'])
    if args.json:
        write_json(args.json, record)
    return 0


def _show(check: dict[str, Any]) -> None:
    print(
        '{images} images, {detections} detections; {other_detections} images with others than '
        "the host's".format(**check)
    )
    for name, difference in check['differences'].items():
        print(f'largest difference of {name}: {difference:.2g}')
    for name, seconds in check['seconds'].items():
        print(f'{name}: {1000 * seconds:.0f} ms an image, {check["ratios"][name]:.2f} of the host')


def _size(size: list[int] | None, divisor: int) -> list[int] | None:
    if size is not None and any(side < 1 or side % divisor for side in size):
        raise ValueError(
            f'--size {size[0]} {size[1]}: the model pads images to multiples of {divisor}; '
            'give such a height and width'
        )
    return size
