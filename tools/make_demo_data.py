"""Makes a synthetic COCO instance set: OUT/{train,val}/*.jpg and OUT/annotations.

The same arguments give the same bytes.

    python tools/make_demo_data.py work_dirs/demo/data --train 1200 --val 150
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from msrcnn_plugin.files import read_json
from msrcnn_plugin.synthetic import DESCRIPTION, LESIONS, OBJECTS, write_set

MIN_SIZE = 64


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('out', type=Path, help='folder to write')
    parser.add_argument('--train', type=int, default=480, help='training images (%(default)s)')
    parser.add_argument('--val', type=int, default=120, help='validation images (%(default)s)')
    parser.add_argument('--size', type=int, default=256, help='image side, px (%(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='0 or more (%(default)s)')
    parser.add_argument(
        '--lesions', action='store_true', help='small lesions, most images without one'
    )
    parser.add_argument('--overwrite', action='store_true', help='replace a set made before')
    args = parser.parse_args(argv)
    for name, smallest in (('train', 1), ('val', 1), ('size', MIN_SIZE), ('seed', 0)):
        if getattr(args, name) < smallest:
            refuse(f'--{name} {getattr(args, name)}: give {smallest} or more')
    if args.out.exists() and not (args.out.is_dir() and not any(args.out.iterdir())):
        if not is_synthetic_set(args.out):
            refuse(f'{args.out} holds something else: give a new folder')
        if not args.overwrite:
            refuse(f'{args.out} already holds a set: give a new folder or --overwrite')
    return args


def refuse(message: str) -> None:
    print(f'make_demo_data.py: {message}', file=sys.stderr)
    sys.exit(2)


def is_synthetic_set(folder: Path) -> bool:
    """Tells whether this tool wrote the folder."""
    try:
        content = read_json(folder / 'annotations' / 'instances_val.json')
    except (OSError, ValueError):
        return False
    return content.get('info', {}).get('description') == DESCRIPTION


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    # Whole sets only: it is made beside the folder, and moved there when it is complete.
    partial = args.out.with_name(f'{args.out.name}.partial')
    shutil.rmtree(partial, ignore_errors=True)
    scene = LESIONS if args.lesions else OBJECTS
    write_set(partial, args.train, args.val, args.size, args.seed, scene)
    if args.out.exists():
        shutil.rmtree(args.out)
    partial.rename(args.out)
    print(f'{args.train} training and {args.val} validation images: {args.out}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
