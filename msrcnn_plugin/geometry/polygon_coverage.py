"""The share of a polygon that lies inside a box, computed from the outline."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
import torch
from torch import Tensor


def polygon_shapes(
    polygons: Sequence[Sequence[np.ndarray]], image_size: tuple[int, int]
) -> np.ndarray:
    """Builds shapely geometries (G,) of objects of one or more parts within the image (H, W).

    Overlapping parts count once. An outline that crosses itself encloses what is drawn. A part of
    fewer than three points has no area.

    Args:
        polygons: the parts of each object, each (2 * points,): x, y, x, y, ... in input pixels.
    """
    image = shapely.box(0, 0, image_size[1], image_size[0])
    objects = [
        shapely.union_all(shapely.make_valid([shapely.Polygon(part) for part in _outlines(parts)]))
        for parts in polygons
    ]
    return shapely.intersection(np.array(objects, dtype=object), image)


def polygon_coverage(
    shapes: np.ndarray, boxes: np.ndarray, inds: np.ndarray
) -> tuple[Tensor, Tensor]:
    """Computes the share of each RoI's object that lies inside the RoI.

    Args:
        shapes: (G,) from :func:`polygon_shapes`.
        boxes: (R, 4) input pixels.
        inds: (R,) int in [0, G), the object of each RoI.

    Returns:
        ``coverage`` (R,) float in [0, 1], and ``valid`` (R,) bool, False where object or RoI have
        no area.
    """
    whole = shapely.area(shapes)[inds]
    valid = (whole > 0) & (boxes[:, 2:] > boxes[:, :2]).all(1)
    inside = shapely.area(shapely.intersection(shapes[inds], shapely.box(*boxes.T)))
    coverage = np.divide(inside, whole, out=np.zeros_like(whole), where=valid)
    return torch.from_numpy(coverage).float(), torch.from_numpy(valid)


def _outlines(parts: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [part.reshape(-1, 2) for part in parts if len(part) >= 6]
