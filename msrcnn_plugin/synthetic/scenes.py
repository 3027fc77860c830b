"""Draws synthetic instance segmentation sets: a small picture of the mask scoring problem.

Objects of four classes touch, overlap and hide each other. Borders are soft, objects fade into
the background, images are blurred, noisy and unevenly lit. The class of an object therefore says
little about how well its mask can be drawn. A mask score has to close that gap.

Masks are (H, W) bool; outlines are (n, 2) float x, y in pixels.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.random import Generator
from pycocotools import mask as rle_tools

from .painting import Array, Look, background, paint, photograph, random_look

DESCRIPTION = 'msrcnn_plugin synthetic demo set'
SPLITS = ('train', 'val')
CLASSES = ('cell', 'leaf', 'star', 'lesion')
CLASS_SHARES = (0.34, 0.24, 0.24, 0.18)
# Longest side: smallest in pixels, largest as a share of the image's side.
EXTENTS = {'cell': (8, 0.5), 'leaf': (12, 0.5), 'star': (10, 0.5), 'lesion': (8, 0.11)}
# Every split of at least eight images holds a crowd and an image without objects.
CROWD_EVERY, CROWD_AT = 8, 7
EMPTY_EVERY, EMPTY_AT = 16, 5
# A later object hides at most this share of an earlier one, and leaves this many pixels.
MAX_HIDDEN = 0.6
MIN_VISIBLE_PX = 20
PLACEMENT_TRIES = 12
MIN_NEIGHBOUR_PX = 200


@dataclass
class Thing:
    """An object or a crowd: its visible mask, and its outline as long as nothing hides it."""

    kind: str
    mask: Array
    full_area: int
    look: Look
    outline: Array | None = None
    is_crowd: bool = False


# --- outlines


def unit_outline(kind: str, rng: Generator) -> Array:
    """Returns a random outline of a class, of about unit radius around the origin."""
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
    else:
        orders, strength = (range(2, 5), 0.35) if kind == 'cell' else (range(2, 9), 0.7)
        radii = np.ones_like(angles)
        for order in orders:
            phase = rng.uniform(0, 2 * np.pi)
            radii += strength * rng.normal() / order * np.cos(order * angles + phase)
        radii = np.clip(radii, 0.35, 1.8)
    return radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def place_outline(outline: Array, rng: Generator, extent: float, centre: Array) -> Array:
    """Turns an outline at random, scales its longest side to ``extent``, moves it to ``centre``."""
    turn = rng.uniform(0, 2 * np.pi)
    turned = outline @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    low, high = turned.min(axis=0), turned.max(axis=0)
    return ((turned - (low + high) / 2) * (extent / (high - low).max()) + centre).round(2)


def rasterise(outline: Array, height: int, width: int) -> Array:
    """Returns the mask (H, W) of an outline, exactly as COCO readers draw it."""
    rles = rle_tools.frPyObjects([outline.ravel().tolist()], height, width)
    return rle_tools.decode(rles[0]).astype(bool)


# --- scenes


def _propose(things: Sequence[Thing], rng: Generator, size: int) -> tuple[str, float, Array, Look]:
    """Returns kind, extent, centre and look of a new object.

    Many go to an earlier object's side and look like it: masks leak into such neighbours. Most
    lesions lie on an object.
    """
    neighbours = [
        thing
        for thing in things
        if not thing.is_crowd and thing.kind != 'lesion' and thing.full_area > MIN_NEIGHBOUR_PX
    ]
    if neighbours and rng.random() < 0.4:
        other = neighbours[rng.integers(len(neighbours))]
        ys, xs = np.nonzero(other.mask)
        reach = max(np.ptp(ys), np.ptp(xs)) + 1
        extent = np.clip(reach * rng.uniform(0.6, 1.3), EXTENTS[other.kind][0], size / 2)
        side = rng.uniform(0, 2 * np.pi)
        step = rng.uniform(0.5, 0.95) * (reach + extent) / 2
        centre = np.array([xs.mean(), ys.mean()]) + step * np.array([np.cos(side), np.sin(side)])
        return other.kind, extent, centre, other.look
    kind = str(rng.choice(CLASSES, p=CLASS_SHARES))
    centre = rng.uniform(0, size, 2)
    if kind == 'lesion' and neighbours and rng.random() < 0.7:
        ys, xs = np.nonzero(neighbours[rng.integers(len(neighbours))].mask)
        chosen = rng.integers(len(ys))
        centre = np.array([xs[chosen], ys[chosen]], float)
    smallest, share = EXTENTS[kind]
    # The logarithm of the extent leans a little towards the large end.
    growth = (max(share * size, smallest + 1) / smallest) ** (rng.random() ** 0.7)
    return kind, smallest * growth, centre, random_look(kind, rng)


def _leaves_enough(things: Sequence[Thing], mask: Array) -> bool:
    """Tells whether all earlier things stay recognisable below ``mask``."""
    return all(
        np.count_nonzero(thing.mask & ~mask)
        >= max(MIN_VISIBLE_PX, (1 - MAX_HIDDEN) * thing.full_area)
        for thing in things
    )


def _add_object(canvas: Array, things: list[Thing], rng: Generator) -> None:
    """Paints one more object. Nothing happens where no place is found."""
    size = canvas.shape[0]
    for _ in range(PLACEMENT_TRIES):
        kind, extent, centre, look = _propose(things, rng, size)
        outline = place_outline(unit_outline(kind, rng), rng, extent, centre)
        mask = rasterise(outline, size, size)
        area = int(np.count_nonzero(mask))
        centre_inside = centre.min() >= 0 and centre.max() < size
        if area < MIN_VISIBLE_PX or not centre_inside or not _leaves_enough(things, mask):
            continue
        for thing in things:
            if (thing.mask & mask).any():
                thing.mask, thing.outline = thing.mask & ~mask, None
        inside = outline.min() >= 0 and outline.max() <= size
        things.append(Thing(kind, mask, area, look, outline if inside else None))
        paint(canvas, mask, kind, rng, look)
        return


def _add_crowd(canvas: Array, things: list[Thing], rng: Generator) -> None:
    """Paints a heap of tiny cells, annotated as one loose crowd region."""
    size = canvas.shape[0]
    look = replace(random_look('cell', rng), contrast=0.9, fade=1.0)
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
    crowd = cv2.morphologyEx(region, cv2.MORPH_CLOSE, disc).astype(bool)
    things.append(Thing('cell', crowd, int(crowd.sum()), look, is_crowd=True))


def draw_scene(rng: Generator, size: int, index: int) -> tuple[Array, list[Thing]]:
    """Draws image number ``index``: (S, S, 3) uint8 BGR, and its things from back to front."""
    canvas = background(rng, size)
    things: list[Thing] = []
    if index % EMPTY_EVERY != EMPTY_AT:
        if index % CROWD_EVERY == CROWD_AT:
            _add_crowd(canvas, things, rng)
        for _ in range(rng.integers(5, 13)):
            _add_object(canvas, things, rng)
    return photograph(canvas, rng), things


class Scene(NamedTuple):
    """A kind of images: ``draw`` takes a generator, the size and the image's number."""

    draw: Callable[[Generator, int, int], tuple[Array, list[Thing]]]
    classes: tuple[str, ...]


OBJECTS = Scene(draw_scene, CLASSES)

# --- COCO


def to_annotation(
    thing: Thing, annotation_id: int, image_id: int, classes: Sequence[str] = CLASSES
) -> dict[str, Any]:
    """Returns the COCO annotation of a thing. Area and box are those of its pixels."""
    rle = rle_tools.encode(np.asfortranarray(thing.mask.astype(np.uint8)))
    area, box = int(rle_tools.area(rle)), rle_tools.toBbox(rle).tolist()
    rle['counts'] = rle['counts'].decode('ascii')
    return dict(
        id=annotation_id,
        image_id=image_id,
        category_id=classes.index(thing.kind) + 1,
        segmentation=rle if thing.outline is None else [thing.outline.ravel().tolist()],
        area=area,
        bbox=box,
        iscrowd=int(thing.is_crowd),
    )


def write_set(
    folder: Path, train: int, val: int, size: int = 256, seed: int = 0, scene: Scene = OBJECTS
) -> None:
    """Writes a COCO set: ``folder/{train,val}/*.jpg``, ``annotations/instances_{train,val}.json``.

    The same arguments give the same bytes. An untouched outline is written as a polygon, every
    other mask as an RLE, so both decode to the exact mask.

    Args:
        folder: must not hold a set yet.
        train, val: numbers of images.
        size: side of the images in pixels, 64 or more.
        scene: what the images show.
    """
    (folder / 'annotations').mkdir(parents=True)
    for split, count in enumerate((train, val)):
        name = SPLITS[split]
        (folder / name).mkdir()
        images: list[dict] = []
        annotations: list[dict] = []
        for index in range(count):
            # One generator an image: a larger set begins with the images of a smaller one.
            image, things = scene.draw(np.random.default_rng([seed, split, index]), size, index)
            path = folder / name / f'{index:06d}.jpg'
            if not cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, 92]):
                raise OSError(f'could not write {path}: is the disk full?')
            images.append(dict(id=index + 1, file_name=path.name, height=size, width=size))
            for thing in things:
                number = len(annotations) + 1
                annotations.append(to_annotation(thing, number, index + 1, scene.classes))
        coco = dict(
            info=dict(description=DESCRIPTION, seed=seed),
            licenses=[],
            images=images,
            annotations=annotations,
            categories=[dict(id=i + 1, name=name) for i, name in enumerate(scene.classes)],
        )
        (folder / 'annotations' / f'instances_{name}.json').write_text(json.dumps(coco))
