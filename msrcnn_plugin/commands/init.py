"""Writes a config for data of one's own in COCO format, and says what it chose.

The classes come from GT.json, the size at which images are shown from the images, and the anchors
from the quantiles of the boxes. The images are checked first: each must be there, as large as the
annotations say. Without --val the model is tested on what it learnt from, which flatters it.

example:
  msrcnn init train.json images/ --val val.json images/ --out my_ms_rcnn.py
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from ..files import read_json, require_writable, write_json
from .arguments import add_json, require_files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `msrcnn init`."""
    parser.add_argument('annotations', type=Path, metavar='GT.json', help='to learn from')
    parser.add_argument('images', type=Path, metavar='IMAGES', help='the folder of its images')
    parser.add_argument(
        '--val', nargs=2, type=Path, metavar=('GT.json', 'IMAGES'), help='to test on'
    )
    parser.add_argument(
        '--out', type=Path, default=Path('my_ms_rcnn.py'), help='config to write (%(default)s)'
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Chooses, writes the config and says what was chosen."""
    train = (args.annotations, args.images)
    val = tuple(args.val or train)
    require_files([train[0], val[0]])
    if args.out.exists():
        raise ValueError(f'{args.out} exists: give another --out, or delete it')
    for path in filter(None, [args.out, args.json]):
        require_writable(path)
    from ..evaluation.coco_files import read_ground_truth
    from ..evaluation.image_files import check_images
    from .own_config import choose, render

    sets = {}
    for file, images in {train, val}:
        truth = read_ground_truth(file, required=('file_name', 'area', 'bbox', 'iscrowd'))
        check_images(truth, images)
        # In the file's order, which numbers the labels.
        sets[file] = truth, [category['name'] for category in read_json(file)['categories']]
    (truth, classes), (_, others) = sets[train[0]], sets[val[0]]
    if others != classes:
        raise ValueError(
            f'{val[0]} has the categories {others[:5]}, {train[0]} has {classes[:5]}: both must '
            'list the same ones in the same order'
        )
    choices = choose(truth, classes)
    train_paths, val_paths = ((_absolute(file), _absolute(images)) for file, images in (train, val))
    text = render(choices, train_paths, val_paths)
    args.out.write_text(text, encoding='utf-8')
    print('\n'.join(choices.words))
    if not args.val:
        print('It is tested on what it learns from: give --val for a fair figure.')
    print(f'{args.out}: train it by `mim train mmdet {args.out}`')
    if args.json:
        write_json(args.json, dataclasses.asdict(choices))
    return 0


def _absolute(path: Path) -> str:
    """A config is run from anywhere; a folder ends in a slash, as mmdet joins it to names."""
    return str(path.resolve()) + '/' * path.is_dir()
