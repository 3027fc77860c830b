"""Writes a trained model as an ONNX file, which runs without mmdet and torch.

The file holds standard operators only, and what a runtime has to know: classes, sizes, means,
calibration. It takes one image at a time. `msrcnn predict` and msrcnn_plugin.deploy run it.
Supported: Mask R-CNN with MSRoIHead, FPN or C4. Any other host is refused.

Needs the packages onnx and, for torch's newer exporter, onnxscript: pip install msrcnn_plugin[onnx]

example:
  msrcnn export my_config.py epoch_12.pth model.onnx
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ..files import require_writable, write_json
from .arguments import add_config_options, add_json, require_files


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
    add_config_options(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Exports the model and prints what was written."""
    require_files([args.config, args.checkpoint])
    alone = [args.size is not None, args.with_preprocessing, args.head_only]
    if sum(alone) > 1:
        raise ValueError('--size, --with-preprocessing and --head-only: give one of them at most')
    for path in filter(None, [args.out, args.json]):
        require_writable(path)
    from ..export import require_supported
    from ..export.onnx_file import export_detector, export_head
    from ..export.trained_model import load_trained_model

    model, metadata = load_trained_model(args.config, args.checkpoint, args.cfg_options)
    require_supported(model)
    metadata.update(
        kind='head' if args.head_only else 'detector',
        preprocessing=args.with_preprocessing,
        size=_size(args.size, metadata['pad_size_divisor']),
    )
    if args.head_only:
        export_head(model, args.out, metadata)
    else:
        export_detector(
            model,
            args.out,
            metadata,
            size=metadata['size'],
            preprocessing=args.with_preprocessing,
        )
    size = args.out.stat().st_size
    if args.json:
        write_json(args.json, dict(metadata, bytes=size))
    print(f'{args.out}: {size / 2**20:.1f} MiB')
    return 0


def _size(size: list[int] | None, divisor: int) -> list[int] | None:
    if size is not None and any(side < 1 or side % divisor for side in size):
        raise ValueError(
            f'--size {size[0]} {size[1]}: the model pads images to multiples of {divisor}; '
            'give such a height and width'
        )
    return size
