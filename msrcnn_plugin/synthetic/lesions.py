"""Draws small lesions: one class, tiny objects, most images empty.

A lesion of 8 to 24 px covers well below 1 % of an image of 256 px. The other things in an image are
tissue. They are not annotated, and some are as small as a lesion, so that there is what a detector
can take for one.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from .painting import Array, background, paint, photograph, random_look
from .scenes import (
    MIN_VISIBLE_PX,
    PLACEMENT_TRIES,
    Scene,
    Thing,
    place_outline,
    rasterise,
    unit_outline,
)

LESION_EVERY = 4  # images; the others are empty
LESION_PX = (8, 24)  # longest side
TISSUE = ('cell', 'leaf', 'star')
LARGE_TISSUE, SMALL_TISSUE = (0.15, 0.5), (0.03, 0.1)  # longest side, as shares of the image's


def draw_lesion_scene(rng: Generator, size: int, index: int) -> tuple[Array, list[Thing]]:
    """Draws image number ``index``: (S, S, 3) uint8 BGR, and its lesion, if it has one."""
    canvas = background(rng, size)
    for count, (low, high) in (
        (rng.integers(2, 6), LARGE_TISSUE),
        (rng.integers(1, 5), SMALL_TISSUE),
    ):
        for _ in range(count):
            _add(canvas, rng, str(rng.choice(TISSUE)), size * rng.uniform(low, high))
    lesion = None
    if index % LESION_EVERY == 0:
        lesion = _add(canvas, rng, 'lesion', rng.uniform(*LESION_PX))
    return photograph(canvas, rng), [lesion] if lesion else []


def _add(canvas: Array, rng: Generator, kind: str, extent: float) -> Thing | None:
    """Paints a thing that lies wholly in the image; None where an outline is too thin to see."""
    size, look = canvas.shape[0], random_look(kind, rng)
    for _ in range(PLACEMENT_TRIES):
        centre = rng.uniform(extent / 2, size - extent / 2, 2)
        outline = place_outline(unit_outline(kind, rng), rng, extent, centre)
        mask = rasterise(outline, size, size)
        area = int(np.count_nonzero(mask))
        if area >= MIN_VISIBLE_PX:
            paint(canvas, mask, kind, rng, look)
            return Thing(kind, mask, area, look, outline)
    return None


LESIONS = Scene(draw_lesion_scene, ('lesion',))
