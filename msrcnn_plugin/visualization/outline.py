"""The outline of a mask, on any ground."""

from __future__ import annotations

import numpy as np
from matplotlib import patheffects
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from numpy.typing import NDArray


def draw_outline(ax: Axes, mask: NDArray[np.bool_], colour: str, width: float = 1.6) -> Artist:
    """Outline along the pixels' edges; a margin closes it where the mask meets the border."""
    padded = np.pad(mask, 1).astype(float)
    rows, columns = (np.arange(-1, length + 1) for length in mask.shape)
    contour = ax.contour(columns, rows, padded, levels=[0.5], colors=[colour], linewidths=width)
    halo = patheffects.withStroke(linewidth=width + 1.2, foreground='black')
    contour.set_path_effects([halo])
    return contour
