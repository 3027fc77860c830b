"""Paints objects, backgrounds and the flaws of a camera.

Masks are (H, W) bool, canvases (H, W, 3) float32 BGR in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

# Mean and spread of the hue in degrees. The ranges overlap: shape and texture decide the class.
HUES = {'cell': (320, 35), 'leaf': (110, 35), 'star': (45, 40), 'lesion': (10, 20)}

Array = NDArray[Any]


@dataclass
class Look:
    """How an object is painted: BGR colour in [0, 1], border softness in pixels, and so on."""

    colour: Array
    contrast: float
    softness: float
    fade: float
    grain: float


def _noise(rng: Generator, height: int, width: int, cell: float) -> Array:
    """Returns smooth noise (H, W), about N(0, 1), with structures of about ``cell`` pixels."""
    knots = rng.normal(size=(max(2, round(height / cell) + 1), max(2, round(width / cell) + 1)))
    return cv2.resize(knots.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)


def _colour(hue: float, saturation: float, value: float) -> Array:
    hsv = np.array([[[hue % 360, saturation, value]]], np.float32)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0]


def random_look(kind: str, rng: Generator) -> Look:
    """Returns what an object of a class looks like."""
    hue, spread = HUES[kind]
    value = (0.15, 0.4) if kind == 'lesion' else (0.45, 0.95)
    return Look(
        _colour(rng.normal(hue, spread / 2), rng.uniform(0.35, 0.8), rng.uniform(*value)),
        contrast=rng.uniform(0.6, 1.0),
        softness=rng.choice([0.6, 1.0, 2.0], p=[0.55, 0.3, 0.15]),
        fade=rng.uniform(0.2, 0.6) if rng.random() < 0.35 else 1.0,
        grain=rng.uniform(0.12, 0.3),
    )


def _texture(kind: str, rng: Generator, shape: tuple[int, ...], extent: float) -> Array:
    """Returns the pattern (H, W) of a class, about [-1, 1]."""
    height, width = shape
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
        return 0.5 * _noise(rng, height, width, max(2.0, extent / 12)) - 1.2 * nucleus
    return 0.7 * _noise(rng, height, width, 2.0)


def _opacity(mask: Array, rng: Generator, look: Look) -> Array:
    """Returns how much of the object shows in each pixel: a soft border, fading to one side."""
    alpha = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), look.softness)
    y, x = np.mgrid[-1 : 1 : mask.shape[0] * 1j, -1 : 1 : mask.shape[1] * 1j]
    side = rng.uniform(0, 2 * np.pi)
    along = np.clip((x * np.cos(side) + y * np.sin(side) + 1) / 2, 0, 1)
    return (alpha * look.contrast * (1 - along * (1 - look.fade))).astype(np.float32)


def paint(canvas: Array, mask: Array, kind: str, rng: Generator, look: Look) -> None:
    """Blends an object into the canvas, in place. Only the window around it is touched."""
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    margin = int(3 * look.softness) + 2
    rows = slice(max(0, ys[0] - margin), ys[-1] + margin + 1)
    columns = slice(max(0, xs[0] - margin), xs[-1] + margin + 1)
    window, local = canvas[rows, columns], mask[rows, columns]
    pattern = _texture(kind, rng, local.shape, max(np.ptp(ys), np.ptp(xs)) + 1)
    surface = look.colour * (1 + look.grain * pattern[..., None])
    window += _opacity(local, rng, look)[..., None] * (surface.astype(np.float32) - window)


def background(rng: Generator, size: int) -> Array:
    """Returns an empty canvas: a dull colour, uneven at three scales."""
    canvas = np.ones((size, size, 3), np.float32)
    canvas *= _colour(rng.uniform(0, 360), rng.uniform(0.05, 0.35), rng.uniform(0.25, 0.8))
    for cell, strength in ((size / 3, 0.08), (size / 12, 0.05), (size / 50, 0.03)):
        canvas *= 1 + strength * _noise(rng, size, size, cell)[..., None]
    return canvas


def photograph(canvas: Array, rng: Generator) -> Array:
    """Returns the image (S, S, 3) uint8 of a canvas, with a camera's light, blur and noise."""
    size = canvas.shape[0]
    light = np.exp(0.15 * _noise(rng, size, size, size / 2)) * rng.uniform(0.75, 1.2)
    image: Array = np.clip(canvas * light[..., None] * rng.uniform(0.92, 1.08, 3), 0, None)
    if rng.random() < 0.5:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 1.4))
    image = image + rng.normal(0, rng.uniform(0.005, 0.04), image.shape)
    return (np.clip(image, 0, 1) * 255).round().astype(np.uint8)
