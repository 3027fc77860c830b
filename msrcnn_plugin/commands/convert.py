"""Turns a trained model from elsewhere into a checkpoint of this plugin.

IN is recognised by the names of its weights:
    the authors' (zjhuang22/maskscoring_rcnn, maskrcnn-benchmark): names, class order and batch
        norms become mmdet's. Test it with configs/authors/, which sets what is no weight: image
        format, strides, anchors, RoIAlign. Not mapped: one input pixel at the far edges of a RoI,
        how masks are pasted, and predicted IoUs outside [0, 1].
    mmdet 2.x or 3.x, Mask R-CNN or MS R-CNN: names stay; the training state is left out.

OUT holds weights alone. Where IN has no MaskIoU head, its parameters are listed as new: train them
with configs/head_only/ and load_from=OUT. IN is read as weights alone; no code in it is run.

example:
  msrcnn convert mask_rcnn_r50_fpn.pth start.pth
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files import require_writable, write_json
from .arguments import add_json, print_table, require_files

if TYPE_CHECKING:
    from ..checkpoints import Conversion


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `msrcnn convert`."""
    parser.add_argument('source', metavar='IN', type=Path, help='checkpoint to convert')
    parser.add_argument('out', metavar='OUT', type=Path, help='checkpoint to write, a new file')
    parser.add_argument(
        '--config', type=Path, help="the target model's: all names and shapes are checked against"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Converts the file and prints what became of its parameters."""
    require_files([args.source, args.config])
    if args.out.exists():
        raise FileExistsError(f'{args.out} exists: give a new file')
    for path in filter(None, [args.out, args.json]):
        require_writable(path)
    from .. import checkpoints

    source = checkpoints.read_checkpoint(args.source)
    target = args.config and checkpoints.file_target(args.config)
    conversion = checkpoints.convert(source, target)
    _show(conversion)
    checkpoints.write_checkpoint(args.out, conversion.weights, conversion.meta, conversion.metadata)
    if args.json:
        write_json(args.json, _record(conversion))
    print(args.out)
    return 0


def _show(conversion: Conversion) -> None:
    from ..visualization.report import Cell, Table

    head = ('', 'in the file', 'here', 'note', 'parameters')
    rows = [
        (*(Cell(text or '') for text in texts), Cell(str(count), count))
        for *texts, count in conversion.rows()
    ]
    print_table(Table(conversion.format.name, head, tuple(rows)))
    for remark in conversion.format.remarks:
        print(f'- {remark}')


def _record(conversion: Conversion) -> dict[str, Any]:
    entries = [
        dict(action=entry.action, source=entry.source, target=entry.target, note=entry.note)
        for entry in conversion.entries
    ]
    return dict(
        format=conversion.format.name, remarks=conversion.format.remarks, parameters=entries
    )
