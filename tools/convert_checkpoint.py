"""Turn a trained model from elsewhere into a checkpoint for this plugin.

IN is told by the names in it:
    the authors' (zjhuang22/maskscoring_rcnn, maskrcnn-benchmark): names, class order and batch
        norms become mmdet's; test it with configs/authors/, which has what is no weight: image
        format, strides, anchors, RoIAlign. Not mapped: one input pixel at the far edges of a RoI,
        how masks are pasted, and predicted IoUs outside [0, 1].
    mmdet 2.x or 3.x, Mask R-CNN or MS R-CNN: names are the same; the training state is left out.
    mmdet 1.x: names and class order; its rounding of boxes is no weight and not mapped.

OUT holds weights alone. Where IN has no MaskIoU head, its parameters are listed as new: train them
with configs/head_only/ and load_from=OUT. IN is read as weights alone; no code in it is run. What
mmengine saved while training has its logs beside them, which torch reads that way from 2.6 on.
"""

import argparse
import json
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))  # started as a script, from anywhere


def parse_args(argv=None):
    from tools.arguments import Parser

    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', metavar='IN', type=Path, help='checkpoint to convert')
    parser.add_argument('out', metavar='OUT', type=Path, help='checkpoint to write, a new file')
    parser.add_argument(
        '--config', type=Path, help='of the model it is for: all names and shapes are checked'
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the whole record there')
    args = parser.parse_args(argv)
    if not args.source.is_file():
        parser.error(f'{args.source} is no file: give a checkpoint')
    if args.out.exists():
        parser.error(f'{args.out} exists: give a new file')
    if args.config and not args.config.is_file():
        parser.error(f'--config {args.config} is no file: give a config of mmdet')
    for path in filter(None, (args.out, args.json)):
        if not path.absolute().parent.is_dir():
            parser.error(f'{path}: there is no folder {path.parent}: make it')
    return args


def main(argv=None):
    args = parse_args(argv)
    # Here, so that --help and wrong arguments are answered at once.
    from msrcnn_plugin import checkpoints

    try:
        source = checkpoints.read_checkpoint(args.source)
        target = args.config and checkpoints.file_target(args.config)
        conversion = checkpoints.convert(source, target)
    except checkpoints.CheckpointError as error:
        print(f'convert_checkpoint.py: {error}', file=sys.stderr)
        return 2
    checkpoints.write_checkpoint(args.out, conversion.weights, conversion.meta, conversion.metadata)
    show(conversion)
    if args.json:
        args.json.write_text(json.dumps(record(conversion), indent=2))
    print(args.out)
    return 0


def show(conversion):
    from rich.console import Console
    from rich.table import Table

    table = Table(*('', 'in the file', 'here', '', 'parameters'), title=conversion.format.name)
    for *cells, count in conversion.rows():
        table.add_row(*cells, str(count))
    console = Console() if sys.stdout.isatty() else Console(width=140)
    console.print(table)
    for remark in conversion.format.remarks:
        console.print(f'- {remark}')


def record(conversion):
    entries = [
        dict(action=entry.action, source=entry.source, target=entry.target, note=entry.note)
        for entry in conversion.entries
    ]
    return dict(
        format=conversion.format.name, remarks=conversion.format.remarks, parameters=entries
    )


if __name__ == '__main__':
    sys.exit(main())
