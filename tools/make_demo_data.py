"""Make a synthetic COCO instance set: a fair small picture of the mask scoring problem.

Textured objects of four classes, from 8 px to half the image, touch, overlap and hide each other.
Borders are soft, objects fade into what lies behind them, images are blurred, noisy and unevenly
lit. The class of an object therefore says little about how well its mask can be drawn, and that
is the gap which a mask score has to close.

    OUT/{train,val}/*.jpg
    OUT/annotations/instances_{train,val}.json

Each object's mask is what pycocotools makes of its outline, less what later objects hide. An
untouched outline is written as a polygon, every other mask as an RLE, so both decode to the exact
mask. The same arguments give the same bytes.
"""

import json
import shutil
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as rle_tools

DESCRIPTION = 'msrcnn_plugin synthetic demo set'
SPLITS = ('train', 'val')
CLASSES = ('cell', 'leaf', 'star', 'lesion')
CLASS_SHARES = (0.34, 0.24, 0.24, 0.18)
# Hue centre and spread in degrees. The ranges overlap: colour hints at the class, shape and
# texture decide it.
HUES = {'cell': (320, 35), 'leaf': (110, 35), 'star': (45, 40), 'lesion': (10, 20)}
# Longest extent in pixels: smallest, and largest as a share of the image side.
EXTENTS = {'cell': (8, 0.5), 'leaf': (12, 0.5), 'star': (10, 0.5), 'lesion': (8, 0.11)}
MIN_SIZE = 64
# Every split of at least eight images holds a crowd and an image without objects.
CROWD_EVERY, CROWD_AT = 8, 7
EMPTY_EVERY, EMPTY_AT = 16, 5
# A later object may hide at most this share of an earlier one, and must leave this many pixels.
MAX_HIDDEN = 0.6
MIN_VISIBLE_PX = 20
TRIES = 12
HOST_AREA_PX = 200


@dataclass
class Thing:
    """One object or crowd: visible mask (H, W) bool, and its outline while nothing hides it."""

    kind: str
    mask: np.ndarray
    polygon: list = None
    is_crowd: bool = False
    look: dict = field(default_factory=dict)
    full_area: int = 0


# --- shapes: outlines are (n, 2) float arrays of x, y in pixels --------------------------------


def wave(rng, angles, orders, strength):
    """Smooth random function of the angle, about 1 on average; higher orders are weaker."""
    value = np.ones_like(angles)
    for order in orders:
        phase = rng.uniform(0, 2 * np.pi)
        value += strength * rng.normal() / order * np.cos(order * angles + phase)
    return np.clip(value, 0.35, 1.8)


def unit_outline(kind, rng):
    """Outline of a class before it is scaled, turned and placed."""
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    if kind == 'leaf':
        width, bend = rng.uniform(0.28, 0.5), rng.uniform(-0.3, 0.3)
        x = np.cos(angles)
        # The exponent above 1 makes both ends pointed.
        y = width * np.sign(np.sin(angles)) * np.abs(np.sin(angles)) ** 1.5 + bend * x**2
        return np.stack([x, y], axis=1)
    if kind == 'star':
        tips = rng.integers(5, 9)
        angles = np.linspace(0, 2 * np.pi, 2 * tips, endpoint=False)
        radii = np.where(np.arange(2 * tips) % 2, rng.uniform(0.45, 0.7), 1.0)
        radii = radii * rng.uniform(0.88, 1.0, 2 * tips)
    elif kind == 'cell':
        radii = wave(rng, angles, (2, 3, 4), 0.35)
    else:
        radii = wave(rng, angles, range(2, 9), 0.7)
    return radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def place_outline(outline, rng, extent, centre):
    """Turn an outline at random, scale its longest side to `extent` and move it to `centre`."""
    turn = rng.uniform(0, 2 * np.pi)
    turned = outline @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    low, high = turned.min(axis=0), turned.max(axis=0)
    placed = (turned - (low + high) / 2) * (extent / (high - low).max()) + centre
    return placed.round(2)


def rasterise(outline, height, width):
    """Mask (H, W) bool of an outline, exactly as every COCO reader will draw it."""
    rles = rle_tools.frPyObjects([outline.ravel().tolist()], height, width)
    return rle_tools.decode(rles[0]).astype(bool)


# --- looks: images are (H, W, 3) float32 in [0, 1], BGR ----------------------------------------


def smooth_noise(rng, height, width, cell):
    """Noise (H, W), about N(0, 1) at the knots, with structures of about `cell` pixels."""
    rows, columns = max(2, round(height / cell) + 1), max(2, round(width / cell) + 1)
    knots = rng.normal(size=(rows, columns)).astype(np.float32)
    return cv2.resize(knots, (width, height), interpolation=cv2.INTER_CUBIC)


def colour(hue, saturation, value):
    """BGR triple in [0, 1] of a hue in degrees."""
    hsv = np.array([[[hue % 360, saturation, value]]], np.float32)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0]


def random_look(kind, rng):
    """What an object looks like; a cluster's members share one look."""
    centre, spread = HUES[kind]
    dark = kind == 'lesion'
    return dict(
        colour=colour(
            rng.normal(centre, spread / 2),
            rng.uniform(0.35, 0.8),
            rng.uniform(0.15, 0.4) if dark else rng.uniform(0.45, 0.95),
        ),
        contrast=rng.uniform(0.6, 1.0),
        softness=rng.choice([0.6, 1.0, 2.0], p=[0.55, 0.3, 0.15]),
        fade=rng.uniform(0.2, 0.6) if rng.random() < 0.35 else 1.0,
        grain=rng.uniform(0.12, 0.3),
    )


def texture(kind, rng, height, width, extent):
    """Pattern (H, W), about [-1, 1], that tells the classes apart."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    y, x = y - height / 2, x - width / 2
    if kind == 'leaf':
        turn = rng.uniform(0, np.pi)
        period = max(4.0, extent / rng.uniform(5, 9))
        return np.sin(2 * np.pi * (x * np.cos(turn) + y * np.sin(turn)) / period)
    if kind == 'star':
        return np.cos(2 * np.pi * np.hypot(x, y) / max(4.0, extent / rng.uniform(3, 5)))
    if kind == 'cell':
        nucleus = np.exp(-(x**2 + y**2) / (2 * (extent / 7) ** 2))
        return 0.5 * smooth_noise(rng, height, width, max(2.0, extent / 12)) - 1.2 * nucleus
    return 0.7 * smooth_noise(rng, height, width, 2.0)


def opacity(mask, rng, look):
    """How much of the object shows in each pixel (H, W): soft border, fading to one side."""
    alpha = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), look['softness'])
    y, x = np.mgrid[-1 : 1 : mask.shape[0] * 1j, -1 : 1 : mask.shape[1] * 1j]
    side = rng.uniform(0, 2 * np.pi)
    along = np.clip((x * np.cos(side) + y * np.sin(side) + 1) / 2, 0, 1)
    return (alpha * look['contrast'] * (1 - along * (1 - look['fade']))).astype(np.float32)


def paint(canvas, mask, kind, rng, look):
    """Blend one object into the canvas, in place; only the window around it is touched."""
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    margin = int(3 * look['softness']) + 2
    rows = slice(max(0, ys[0] - margin), ys[-1] + margin + 1)
    columns = slice(max(0, xs[0] - margin), xs[-1] + margin + 1)
    window, local = canvas[rows, columns], mask[rows, columns]
    extent = max(np.ptp(ys), np.ptp(xs)) + 1
    pattern = texture(kind, rng, *local.shape, extent)
    surface = look['colour'] * (1 + look['grain'] * pattern[..., None])
    alpha = opacity(local, rng, look)[..., None]
    window += alpha * (surface.astype(np.float32) - window)


def background(rng, size):
    """Empty canvas: one dull colour, uneven at three scales."""
    canvas = np.ones((size, size, 3), np.float32)
    canvas *= colour(rng.uniform(0, 360), rng.uniform(0.05, 0.35), rng.uniform(0.25, 0.8))
    for cell, strength in ((size / 3, 0.08), (size / 12, 0.05), (size / 50, 0.03)):
        canvas *= 1 + strength * smooth_noise(rng, size, size, cell)[..., None]
    return canvas


def degrade(canvas, rng):
    """What a camera does to the scene: uneven light, blur, noise, 8 bits; returns uint8."""
    size = canvas.shape[0]
    light = np.exp(0.15 * smooth_noise(rng, size, size, size / 2)) * rng.uniform(0.75, 1.2)
    tint = rng.uniform(0.92, 1.08, 3)
    image = np.clip(canvas * light[..., None] * tint, 0, None)
    if rng.random() < 0.5:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 1.4))
    image = image + rng.normal(0, rng.uniform(0.005, 0.04), image.shape)
    return (np.clip(image, 0, 1) * 255).round().astype(np.uint8)


# --- scenes --------------------------------------------------------------------------------------


def random_extent(kind, rng, size):
    """Longest side in pixels; its logarithm leans a little towards the large end."""
    smallest, share = EXTENTS[kind]
    largest = max(share * size, smallest + 1)
    return float(smallest * (largest / smallest) ** (rng.random() ** 0.7))


def random_pixel(mask, rng):
    """x, y of one of the mask's pixels."""
    ys, xs = np.nonzero(mask)
    chosen = rng.integers(len(ys))
    return np.array([xs[chosen], ys[chosen]], float)


def is_host(thing):
    """Whether others may be placed at or on it; heaps of tiny objects would be mere noise."""
    return not thing.is_crowd and thing.kind != 'lesion' and thing.full_area > HOST_AREA_PX


def propose(things, rng, size):
    """Kind, extent, centre and look of a new object.

    Many go to an earlier object's side and look like it: the neighbours that masks leak into.
    Most lesions lie on an object.
    """
    neighbours = [thing for thing in things if is_host(thing)]
    if neighbours and rng.random() < 0.4:
        other = neighbours[rng.integers(len(neighbours))]
        ys, xs = np.nonzero(other.mask)
        reach = max(np.ptp(ys), np.ptp(xs)) + 1
        extent = np.clip(reach * rng.uniform(0.6, 1.3), *(EXTENTS[other.kind][0], size / 2))
        side = rng.uniform(0, 2 * np.pi)
        step = rng.uniform(0.5, 0.95) * (reach + extent) / 2
        centre = np.array([xs.mean(), ys.mean()]) + step * np.array([np.cos(side), np.sin(side)])
        return other.kind, extent, centre, dict(other.look)
    kind = str(rng.choice(CLASSES, p=CLASS_SHARES))
    centre = rng.uniform(0, size, 2)
    if kind == 'lesion' and neighbours and rng.random() < 0.7:
        centre = random_pixel(neighbours[rng.integers(len(neighbours))].mask, rng)
    return kind, random_extent(kind, rng, size), centre, random_look(kind, rng)


def leaves_enough(things, mask):
    """Whether all earlier things stay recognisable once `mask` lies on top of them."""
    for thing in things:
        left = np.count_nonzero(thing.mask & ~mask)
        if left < max(MIN_VISIBLE_PX, (1 - MAX_HIDDEN) * thing.full_area):
            return False
    return True


def hide(things, mask):
    """Take what `mask` covers away from all earlier things."""
    for thing in things:
        if (thing.mask & mask).any():
            thing.mask = thing.mask & ~mask
            thing.polygon = None


def add_object(canvas, things, rng):
    """Paint one more object where it fits; nothing happens if no place is found."""
    size = canvas.shape[0]
    for _ in range(TRIES):
        kind, extent, centre, look = propose(things, rng, size)
        outline = place_outline(unit_outline(kind, rng), rng, extent, centre)
        mask = rasterise(outline, size, size)
        inside = outline.min() >= 0 and outline.max() <= size
        centre_inside = centre.min() >= 0 and centre.max() < size
        area = np.count_nonzero(mask)
        if area >= MIN_VISIBLE_PX and centre_inside and leaves_enough(things, mask):
            hide(things, mask)
            polygon = outline.ravel().tolist() if inside else None
            things.append(Thing(kind, mask, polygon, look=look, full_area=area))
            return paint(canvas, mask, kind, rng, look)
    return None


def add_crowd(canvas, things, rng):
    """Paint a heap of tiny cells; its annotation is one loose crowd region, as COCO draws them."""
    size = canvas.shape[0]
    look = {**random_look('cell', rng), 'contrast': 0.9, 'fade': 1.0}
    middle = rng.uniform(0.2 * size, 0.8 * size, 2)
    region = np.zeros((size, size), np.uint8)
    for _ in range(rng.integers(20, 40)):
        centre = np.clip(rng.normal(middle, 0.05 * size), 5, size - 5)
        outline = place_outline(unit_outline('cell', rng), rng, rng.uniform(7, 10), centre)
        mask = rasterise(outline, size, size)
        if mask.any():
            paint(canvas, mask, 'cell', rng, look)
            region |= mask
    # Closing fills the gaps between the cells.
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (11, 11))
    region = cv2.morphologyEx(region, cv2.MORPH_CLOSE, disc).astype(bool)
    area = np.count_nonzero(region)
    things.append(Thing('cell', region, is_crowd=True, full_area=area))


def draw_scene(rng, size, index):
    """Image (S, S, 3) uint8 and its things, back to front."""
    canvas, things = background(rng, size), []
    if index % EMPTY_EVERY != EMPTY_AT:
        if index % CROWD_EVERY == CROWD_AT:
            add_crowd(canvas, things, rng)
        for _ in range(rng.integers(5, 13)):
            add_object(canvas, things, rng)
    return degrade(canvas, rng), things


# --- COCO ----------------------------------------------------------------------------------------


def to_annotation(thing, annotation_id, image_id):
    """COCO annotation of a thing; area and box are those of its pixels."""
    rle = rle_tools.encode(np.asfortranarray(thing.mask.astype(np.uint8)))
    area, box = int(rle_tools.area(rle)), rle_tools.toBbox(rle).tolist()
    rle['counts'] = rle['counts'].decode('ascii')
    return dict(
        id=annotation_id,
        image_id=image_id,
        category_id=CLASSES.index(thing.kind) + 1,
        segmentation=[thing.polygon] if thing.polygon else rle,
        area=area,
        bbox=box,
        iscrowd=int(thing.is_crowd),
    )


def write_split(folder, split, count, size, seed):
    """Write one split's images and annotations; returns the annotation dict."""
    images, annotations = [], []
    (folder / split).mkdir(parents=True)
    (folder / 'annotations').mkdir(exist_ok=True)
    for index in range(count):
        # One generator an image: a larger set begins with the images of a smaller one.
        rng = np.random.default_rng([seed, SPLITS.index(split), index])
        image, things = draw_scene(rng, size, index)
        name = f'{index:06d}.jpg'
        if not cv2.imwrite(str(folder / split / name), image, [cv2.IMWRITE_JPEG_QUALITY, 92]):
            raise OSError(f'could not write {folder / split / name}: is the disk full?')
        images.append(dict(id=index + 1, file_name=name, height=size, width=size))
        for thing in things:
            annotations.append(to_annotation(thing, len(annotations) + 1, index + 1))
        if (index + 1) % 100 == 0 or index + 1 == count:
            print(f'{split}: {index + 1}/{count} images', flush=True)
    coco = dict(
        info=dict(description=DESCRIPTION, seed=seed),
        licenses=[],
        images=images,
        annotations=annotations,
        categories=[dict(id=i + 1, name=name) for i, name in enumerate(CLASSES)],
    )
    annotation_path(folder, split).write_text(json.dumps(coco))
    return coco


def annotation_path(folder, split):
    """Where a split's annotations stand in a set."""
    return Path(folder) / 'annotations' / f'instances_{split}.json'


def statistics(coco):
    """Counts of a split: images, objects by class, size and kind of mask."""
    objects = [a for a in coco['annotations'] if not a['iscrowd']]
    with_objects = {a['image_id'] for a in coco['annotations']}
    extents = [max(a['bbox'][2:]) for a in objects]
    by_class = Counter(CLASSES[a['category_id'] - 1] for a in objects)
    return dict(
        images=len(coco['images']),
        images_without_objects=len(coco['images']) - len(with_objects),
        objects=len(objects),
        crowds=len(coco['annotations']) - len(objects),
        by_class={name: by_class[name] for name in CLASSES},
        small=sum(a['area'] < 32**2 for a in objects),
        medium=sum(32**2 <= a['area'] < 96**2 for a in objects),
        large=sum(a['area'] >= 96**2 for a in objects),
        extent_px=dict(zip(('min', 'median', 'max'), np.quantile(extents or [0], (0, 0.5, 1)))),
        polygons=sum(isinstance(a['segmentation'], list) for a in objects),
        rles=sum(isinstance(a['segmentation'], dict) for a in objects),
    )


# --- command -------------------------------------------------------------------------------------


def parse_args(argv=None):
    from tools.arguments import Parser

    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument('out', type=Path, help='folder to write; must not hold anything yet')
    parser.add_argument('--train', type=int, default=480, help='training images (%(default)s)')
    parser.add_argument('--val', type=int, default=120, help='validation images (%(default)s)')
    parser.add_argument('--size', type=int, default=256, help='image side, px (%(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='any whole number (%(default)s)')
    parser.add_argument('--overwrite', action='store_true', help='replace a set made before')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the statistics there')
    args = parser.parse_args(argv)
    if args.train < 1 or args.val < 1:
        parser.error(f'--train {args.train} --val {args.val}: give at least 1 image each')
    if args.size < MIN_SIZE:
        parser.error(f'--size {args.size}: give at least {MIN_SIZE} px')
    if args.seed < 0:
        parser.error(f'--seed {args.seed}: give 0 or more')
    check_target(parser, args.out, args.overwrite)
    return args


def check_target(parser, out, overwrite):
    """Refuse to write over anything but a set of this tool's, and that only when asked to."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not is_own_set(out):
        parser.error(f'{out} holds something else: give a new folder')
    if not overwrite:
        parser.error(f'{out} already holds a set: give a new folder or --overwrite')


def is_own_set(folder):
    """Whether this tool wrote the folder."""
    try:
        coco = json.loads(annotation_path(folder, 'val').read_text())
        return coco['info']['description'] == DESCRIPTION
    except (OSError, ValueError, KeyError, TypeError):
        return False


def make_set(out, train, val, size, seed):
    """Write a whole set to `out` and return its statistics by split.

    It is made beside `out` and moved there when it is complete, so `out` is never half a set.
    """
    partial = out.with_name(out.name + '.partial')
    shutil.rmtree(partial, ignore_errors=True)
    figures = {}
    for split, count in zip(SPLITS, (train, val)):
        figures[split] = statistics(write_split(partial, split, count, size, seed))
    if out.exists():
        shutil.rmtree(out)
    partial.rename(out)
    return figures


def main(argv=None):
    args = parse_args(argv)
    figures = make_set(args.out, args.train, args.val, args.size, args.seed)
    for split, figure in figures.items():
        print(f'{split}: {figure["objects"]} objects, {figure["by_class"]}')
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2))
    print(args.out)
    return 0


if __name__ == '__main__':
    # Started as a script, from anywhere.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    sys.exit(main())
