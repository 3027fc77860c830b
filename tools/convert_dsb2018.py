"""Convert the Kaggle Data Science Bowl 2018 folder to COCO instance format.

SRC is the unpacked download: `stage1_train` itself, or the folder that holds it.

    SRC/stage1_train/<id>/images/<id>.png    one image, RGB or RGBA
    SRC/stage1_train/<id>/masks/*.png        one PNG a nucleus

    OUT/{train,val}/<id>.png                 RGB
    OUT/annotations/instances_{train,val}.json

Masks become RLE, pixel for pixel; where two overlap, both keep the pixels. The split depends on
the ids alone, so a repeated download gives the same one. Masks that are empty, unreadable or of
another size than their image are left out, each with a line that says so.
"""

import argparse
import hashlib
import json
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as rle_tools

CATEGORY = dict(id=1, name='nucleus')
SPLITS = ('train', 'val')


def parse_args(argv=None):
    from msrcnn_plugin.commands.main import Parser

    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('src', type=Path, help='unpacked Kaggle folder')
    parser.add_argument('out', type=Path, help='folder to write; must not hold anything yet')
    parser.add_argument(
        '--val-share', type=float, default=0.18, help='part of the images for val (%(default)s)'
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write counts and warnings there')
    args = parser.parse_args(argv)
    if not 0 < args.val_share < 1:
        parser.error(f'--val-share {args.val_share}: give a number between 0 and 1')
    if args.out.exists() and (not args.out.is_dir() or any(args.out.iterdir())):
        parser.error(f'{args.out} is not empty: give a new folder')
    args.folders = image_folders(args.src)
    if len(args.folders) < len(SPLITS):
        parser.error(
            f'{args.src} holds {len(args.folders)} folders <id>/images, 2 or more are needed: '
            'unpack stage1_train.zip and give its folder'
        )
    return args


def image_folders(src):
    """The folder of each image, sorted by id; those of a test set, without masks, are no part."""
    root = src / 'stage1_train' if (src / 'stage1_train').is_dir() else src
    if not root.is_dir():
        return []
    return sorted(f for f in root.iterdir() if (f / 'images').is_dir() and (f / 'masks').is_dir())


def split_of(names, val_share):
    """Split of each name. The names are shuffled by their hash: no generator, no order of files."""
    shuffled = sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    count = min(max(1, round(val_share * len(shuffled))), len(shuffled) - 1)
    val = set(shuffled[:count])
    return {name: 'val' if name in val else 'train' for name in names}


def read_png(path, flags):
    """The decoded image, or None if the file is none. imdecode, unlike imread, prints nothing."""
    content = np.fromfile(path, np.uint8)
    return cv2.imdecode(content, flags) if len(content) else None


def read_image(folder):
    """The image (H, W, 3) uint8 BGR of a folder and what is wrong with it, one of them None."""
    paths = sorted((folder / 'images').glob('*.png'))
    if len(paths) != 1:
        return None, f'{folder.name}: {len(paths)} images instead of 1, left out'
    image = read_png(paths[0], cv2.IMREAD_COLOR)  # drops an alpha channel
    if image is None:
        return None, f'{folder.name}: {paths[0].name} is no readable image, left out'
    return image, None


def read_masks(folder, size):
    """Masks (H, W) uint8 of a folder, and a warning for each that is of no use."""
    masks, warnings = [], []
    for path in sorted((folder / 'masks').glob('*.png')):
        values = read_png(path, cv2.IMREAD_GRAYSCALE)
        if values is None:
            problem = 'no readable image'
        elif values.shape != size:
            problem = f'{values.shape} pixels (height, width), its image {size}'
        elif not values.any():
            problem = 'empty'
        else:
            masks.append((values > 0).astype(np.uint8))
            continue
        warnings.append(f'{folder.name}: mask {path.name} is {problem}, left out')
    return masks, warnings


def to_annotation(mask, annotation_id, image_id):
    """COCO annotation of a mask (H, W) uint8."""
    rle = rle_tools.encode(np.asfortranarray(mask))
    return dict(
        id=annotation_id,
        image_id=image_id,
        category_id=CATEGORY['id'],
        segmentation=dict(size=rle['size'], counts=rle['counts'].decode('ascii')),
        area=int(rle_tools.area(rle)),
        bbox=rle_tools.toBbox(rle).tolist(),
        iscrowd=0,
    )


def empty_coco():
    """A COCO dict of no images."""
    info = dict(description='Data Science Bowl 2018, stage 1, nuclei')
    return dict(info=info, licenses=[], images=[], annotations=[], categories=[CATEGORY])


def add_image(coco, folder, target):
    """Convert one image with its masks into `coco` and `target`; returns the warnings."""
    image, problem = read_image(folder)
    if problem:
        return [problem]
    height, width = image.shape[:2]
    masks, warnings = read_masks(folder, (height, width))
    image_id = len(coco['images']) + 1
    file = target / f'{folder.name}.png'
    if not cv2.imwrite(str(file), image):
        raise OSError(f'could not write {file}: is the disk full?')
    coco['images'].append(dict(id=image_id, file_name=file.name, height=height, width=width))
    for mask in masks:
        coco['annotations'].append(to_annotation(mask, len(coco['annotations']) + 1, image_id))
    return warnings


def convert(folders, out, val_share):
    """Write the COCO set to `out`; returns its counts by split, and the warnings.

    It is made beside `out` and moved there when it is complete, so `out` is never half a set.
    """
    partial = out.with_name(out.name + '.partial')
    shutil.rmtree(partial, ignore_errors=True)
    for name in (*SPLITS, 'annotations'):
        (partial / name).mkdir(parents=True)
    cocos, warnings = {split: empty_coco() for split in SPLITS}, []
    splits = split_of([folder.name for folder in folders], val_share)
    for done, folder in enumerate(folders, 1):
        split = splits[folder.name]
        found = add_image(cocos[split], folder, partial / split)
        warnings += found
        for line in found:
            print(f'warning: {line}', file=sys.stderr)
        if done % 50 == 0 or done == len(folders):
            print(f'{done}/{len(folders)} images', flush=True)
    if not all(coco['images'] for coco in cocos.values()):
        shutil.rmtree(partial)
        raise ValueError(
            f'a split has no readable image; unpack the download again: {folders[0]} ...'
        )
    for split, coco in cocos.items():
        file = partial / 'annotations' / f'instances_{split}.json'
        file.write_text(json.dumps(coco))
    if out.exists():
        out.rmdir()
    partial.rename(out)
    counts = {
        s: dict(images=len(c['images']), objects=len(c['annotations'])) for s, c in cocos.items()
    }
    return counts, warnings


def main(argv=None):
    args = parse_args(argv)
    try:
        counts, warnings = convert(args.folders, args.out, args.val_share)
    except ValueError as error:
        print(f'convert_dsb2018.py: {error}', file=sys.stderr)
        return 2
    for split, count in counts.items():
        print(f'{split}: {count["images"]} images, {count["objects"]} nuclei')
    if warnings:
        print(f'{len(warnings)} warnings')
    if args.json:
        args.json.write_text(json.dumps(dict(**counts, warnings=warnings), indent=2))
    print(args.out)
    return 0


if __name__ == '__main__':
    # Started as a script, from anywhere.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    sys.exit(main())
