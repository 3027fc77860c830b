"""Where to write a mask's number so that it hides neither its mask nor another number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def label_corners(
    boxes: NDArray, label_size: tuple[float, float], image_size: tuple[int, int]
) -> list[tuple[float, float]]:
    """Upper left corner (x, y) of each box's label, placed one after the other.

    A label takes the first free of eight places around its box. Where none is free, it stays in the
    image first, clear of the labels placed before next, and off the boxes last.

    Args:
        boxes: (N, 4) x1, y1, x2, y2 in pixels.
        label_size: width, height of every label in pixels.
        image_size: height, width.
    """
    placed: list[NDArray] = []
    for box in np.asarray(boxes, dtype=float).reshape(-1, 4):
        places = [np.array([*corner, *label_size]) for corner in _around(box, *label_size)]
        costs = [_cost(place, placed, boxes, image_size) for place in places]
        placed.append(places[int(np.argmin(costs))])
    return [(float(x), float(y)) for x, y, _, _ in placed]


def _around(box: NDArray, width: float, height: float) -> list[tuple[float, float]]:
    """Upper left corners of eight labels around the box, which do not meet each other."""
    x1, y1, x2, y2 = box
    middle_x, middle_y = (x1 + x2 - width) / 2, (y1 + y2 - height) / 2
    above, below, left, right = y1 - height, y2, x1 - width, x2
    # Beside a box smaller than the label, the corners make room for the four sides.
    far_left, far_right = min(left, middle_x - width), max(right, middle_x + width)
    return [
        *((middle_x, above), (right, middle_y), (middle_x, below), (left, middle_y)),
        *((far_right, above), (far_right, below), (far_left, below), (far_left, above)),
    ]


def _cost(
    place: NDArray, placed: Sequence[NDArray], boxes: NDArray, image_size: tuple[int, int]
) -> float:
    """Square pixels of a label at ``place`` that are taken: outside most, then by other labels."""
    inside = _overlap(place, (0, 0, image_size[1], image_size[0]))
    labels = sum(_overlap(place, (px, py, px + pw, py + ph)) for px, py, pw, ph in placed)
    objects = sum(_overlap(place, box) for box in boxes)
    return 100 * (place[2] * place[3] - inside) + 10 * labels + objects


def _overlap(place: NDArray, box: Sequence[float]) -> float:
    """Area that a place (x, y, width, height) shares with a box (x1, y1, x2, y2)."""
    x, y, width, height = place
    shared_x = min(x + width, box[2]) - max(x, box[0])
    shared_y = min(y + height, box[3]) - max(y, box[1])
    return max(0.0, shared_x) * max(0.0, shared_y)
