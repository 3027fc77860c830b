"""One look for every plot: a colour, a marker and a name for each score, and plain axes.

The hues are told apart by the colour-blind, and each curve has its own dashes and marker as
well. On white each reaches a contrast of 4.5. `DARK` has their counterparts on a dark ground: a
page maps one to the other by value, so a role's colour must be no other role's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

# For every text that holds a user's name: a dollar sign in it begins no formula.
VERBATIM: dict[str, Any] = dict(parse_math=False)
INK, MUTED, GRID = '#1f2933', '#5b6673', '#dce1e7'


@dataclass(frozen=True)
class Style:
    """How one score is drawn and called everywhere."""

    name: str
    colour: str
    tint: str  # of areas; strong enough on white and on a dark ground alike
    marker: str
    dashes: Any  # a line style of matplotlib

    def line(self) -> dict[str, Any]:
        """Keyword arguments of `Axes.plot`."""
        return dict(color=self.colour, linestyle=self.dashes, linewidth=2)


# By the names of `MaskScoringResult.rankings`, in the order in which they are listed.
STYLES = {
    'score': Style('class score', '#b4500a', '#dd6c17', 'o', (0, (5, 1.5))),
    'mask_iou': Style('predicted IoU', '#00776a', '#0f9b86', 'D', (0, (1, 1.2))),
    'prob': Style('class score × mean probability', '#8a3a86', '#b65bb1', '^', (0, (3, 1, 1, 1))),
    'stability': Style('class score × stability', '#9b4038', '#c4675e', '<', (0, (4, 1, 1, 1))),
    'mask_score': Style('mask score', '#0b60aa', '#2c83db', 's', 'solid'),
    'oracle': Style('class score × true IoU', '#5b6673', '#808c99', 'v', (0, (2, 1))),
    'unique': Style('best possible ranking', '#1f2933', '#808c99', '*', (0, (1, 2))),
}
# Of scores that only a results file knows, in turn.
OTHERS = (('#a3285b', '#cf5286', 'p'), ('#4c6a00', '#7f9f2a', 'h'), ('#6a4fb3', '#9278d6', 'X'))
UNCALIBRATED = Style('uncalibrated IoU', '#7d6000', '#a98a1c', 'P', (0, (4, 1, 1, 1)))
DARK = {
    INK: '#e8ebef',
    MUTED: '#a3adb8',
    GRID: '#38414c',
    '#b4500a': '#f0a05a',
    '#00776a': '#4fc9b0',
    '#8a3a86': '#dd9ad8',
    '#9b4038': '#f0a49c',
    '#0b60aa': '#74b5f5',
    '#7d6000': '#d8bd55',
    '#a3285b': '#f08ab4',
    '#4c6a00': '#b5d160',
    '#6a4fb3': '#b8a4f2',
}


def ranking_style(name: str, names: Sequence[str]) -> Style:
    """The style of one ranking among all of a model's ``names``; any key may be one."""
    if name in STYLES:
        return STYLES[name]
    others = [other for other in names if other not in STYLES]
    colour, tint, marker = OTHERS[others.index(name) % len(OTHERS)]
    return Style(name, colour, tint, marker, (0, (6, 1, 1, 1, 1, 1)))


SIZE_INCHES = (3.9, 3.4)
TEXT_PT, LINE_PT = 10, 14
CORNERS = ('upper right', 'lower right', 'lower left', 'upper left')
# What a character's width and a line's height take of the axes, nearly.
CHARACTER_SHARE, LINE_SHARE = 0.029, 0.08


def plain_axes(ax: Axes, *, xlabel: str, ylabel: str) -> None:
    """Two spines, a quiet grid, labels of one size."""
    ax.patch.set_visible(False)
    ax.spines[['top', 'right']].set_visible(False)
    for spine in ax.spines.values():
        spine.set_color(MUTED)
    ax.tick_params(colors=MUTED, labelcolor=INK, labelsize=TEXT_PT, length=3)
    ax.grid(color=GRID, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.set_xlabel(xlabel, color=INK, fontsize=TEXT_PT, **VERBATIM)
    ax.set_ylabel(ylabel, color=INK, fontsize=TEXT_PT, **VERBATIM)


def unit_ticks(ax: Axes, low: float = 0.0) -> None:
    """Both axes from ``low`` to 1, with the same five or six ticks."""
    step = 0.1 if low >= 0.5 else 0.2
    ticks = [round(low + i * step, 1) for i in range(round((1 - low) / step) + 1)]
    names = [f'{tick:g}' for tick in ticks]
    ax.set_xticks(ticks, names)
    ax.set_yticks(ticks, names)
    ax.set_xlim(low, 1)
    ax.set_ylim(low, 1)


def coloured_key(
    ax: Axes, entries: Sequence[tuple[str, str]], corner: str | None = None
) -> Sequence[Artist]:
    """Names in the colours of their curves, one below the other, in a corner of the axes.

    Args:
        entries: text and colour.
        corner: one of `CORNERS`; None means the one that the axes' lines leave most free.
    """
    corner = corner or freest_corner(ax, [text for text, _ in entries])
    vertical, horizontal = corner.split()
    x, y = {'left': 0.03, 'right': 1.0}[horizontal], {'upper': 1.0, 'lower': 0.03}[vertical]
    above = 0 if vertical == 'upper' else len(entries) - 1
    style: dict[str, Any] = dict(fontsize=TEXT_PT, fontweight='bold', ha=horizontal, **VERBATIM)
    style['va'] = 'top' if vertical == 'upper' else 'bottom'
    return [
        ax.annotate(
            text,
            (x, y),
            xycoords='axes fraction',
            xytext=(0, LINE_PT * (above - place)),
            textcoords='offset points',
            color=colour,
            **style,
        )
        for place, (text, colour) in enumerate(entries)
    ]


def leave_room_above(ax: Axes, lines: int) -> None:
    """Lengthen the y axis upwards, so that so many lines of text fit above what is drawn."""
    low, high = ax.get_ylim()
    share = min(LINE_SHARE * lines, 0.5)
    ax.set_ylim(low, low + (high - low) / (1 - share))


def freest_corner(ax: Axes, texts: Sequence[str]) -> str:
    """Which of `CORNERS` has least of the axes' lines where lines of text would stand."""
    width = CHARACTER_SHARE * max(map(len, texts), default=0)
    height = LINE_SHARE * len(texts)
    lines = [points for line in ax.lines if len(points := _within_axes(ax, line))]
    points = np.concatenate(lines) if lines else np.zeros((0, 2))

    def covered(corner: str) -> int:
        vertical, horizontal = corner.split()
        x, y = points.T
        beside = x < width if horizontal == 'left' else x > 1 - width
        level = y > 1 - height if vertical == 'upper' else y < height
        return int((beside & level).sum())

    return min(CORNERS, key=covered)


def _within_axes(ax: Axes, line: Line2D, steps: int = 200) -> NDArray[np.float64]:
    """Points (n, 2) along a line over data coordinates, as shares of the axes."""
    x, y = (
        np.asarray(line.get_xydata()).T
        if line.get_transform() == ax.transData
        else np.zeros((2, 0))
    )
    x, y = x[~np.isnan(y)], y[~np.isnan(y)]
    if not len(x):
        return np.zeros((0, 2))
    along = np.linspace(x.min(), x.max(), steps)
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    heights = np.interp(along, x, y)
    return np.column_stack([(along - left) / (right - left), (heights - bottom) / (top - bottom)])


def written(value: float, digits: int = 2) -> str:
    """A number as pictures and tables write it; a dash where it is undefined."""
    return '–' if value != value else f'{value:.{digits}f}'.replace('-', '\u2212')


def grouped(count: int) -> str:
    """A count with a thin space at the thousands."""
    return f'{count:,}'.replace(',', '\u202f')
