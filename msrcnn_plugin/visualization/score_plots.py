"""Plots of what a score knows of the mask: densities, calibration, AP. An axes in, artists out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.offsetbox import AnchoredOffsetbox, HPacker, TextArea
from matplotlib.ticker import MultipleLocator
from numpy.typing import NDArray

from ..evaluation import JointDensity, ReliabilityCurve, ScopeFigures
from .palette import (
    INK,
    MUTED,
    STYLES,
    TEXT_PT,
    VERBATIM,
    Style,
    coloured_key,
    grouped,
    leave_room_above,
    plain_axes,
    unit_ticks,
    written,
)

FAINTEST = 0.12  # opacity of a cell with a single detection
LARGEST_DOT_PT2 = 130


@dataclass(frozen=True)
class APCurve:
    """AP (I,) in [0, 1] of masks under one ranking, at each of the IoU thresholds (I,)."""

    style: Style
    thresholds: NDArray[np.float64]
    ap: NDArray[np.float64]
    mean_ap: float  # the figure that is reported


def draw_density(ax: Axes, density: JointDensity, style: Style) -> Sequence[Artist]:
    """Cells of true IoU (across) and estimate (up), and the mean estimate in each bin.

    Opacity grows with the logarithm of the count, so that it reads on any ground.

    Returns:
        the cells, the line of means.
    """
    low = float(density.edges[0])
    plain_axes(ax, xlabel='true IoU', ylabel=style.name)
    cells = ax.imshow(
        _tinted(density.counts.T, style.tint),
        origin='lower',
        extent=(low, 1, low, 1),
        interpolation='nearest',
        aspect='auto',
        zorder=1,
    )
    _draw_diagonal(ax)
    means = ax.plot(
        density.centres, density.mean_estimate, color=INK, marker='o', markersize=3, linewidth=1.6
    )
    unit_ticks(ax, low)
    ax.annotate(
        f'{grouped(density.total)} detections, correlation {written(density.correlation)}',
        (0, 1),
        xycoords='axes fraction',
        xytext=(0, 5),
        textcoords='offset points',
        color=MUTED,
        fontsize=TEXT_PT - 1,
    )
    _draw_scale(ax, int(density.counts.max(initial=0)), style.tint)
    return [cells, *means]


def _tinted(counts: NDArray, colour: str) -> NDArray[np.float64]:
    """RGBA (..., 4): one hue, opacity by the logarithm of the count, 0 where there is none."""
    top = np.log1p(max(counts.max(initial=0), 1))
    opacity = FAINTEST + (1 - FAINTEST) * np.log1p(counts) / top
    rgba = np.empty((*counts.shape, 4))
    rgba[..., :3] = to_rgb(colour)
    rgba[..., 3] = np.where(counts > 0, opacity, 0)
    return rgba


def _draw_scale(ax: Axes, most: int, colour: str) -> AxesImage | None:
    """What the opacity means: from one detection in a cell to the most."""
    if most < 1:
        return None
    scale = ax.inset_axes((0.78, 1.03, 0.16, 0.035))
    scale.set_axis_off()
    ramp = scale.imshow(_tinted(np.geomspace(1, most, 32)[None], colour), aspect='auto')
    for x, text, ha in ((-0.08, '1', 'right'), (1.08, str(most), 'left')):
        scale.text(
            x, 0.4, text, transform=scale.transAxes, ha=ha, va='center', color=MUTED,
            fontsize=TEXT_PT - 1,
        )  # fmt: skip
    return ramp


def _draw_diagonal(ax: Axes) -> Line2D:
    """Where the estimate is right."""
    return ax.axline((0.5, 0.5), slope=1, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=2)


def draw_reliability(ax: Axes, curves: Mapping[Style, ReliabilityCurve]) -> Sequence[Artist]:
    """Mean true IoU (up) against mean estimate (across) in ten bins; a dot's area is the count.

    Returns:
        the dots of each curve.
    """
    plain_axes(ax, xlabel='mean estimate in its bin', ylabel='mean true IoU')
    _draw_diagonal(ax)
    dots = []
    for style, curve in curves.items():
        filled = curve.counts > 0
        area = LARGEST_DOT_PT2 * curve.counts / max(curve.counts.max(initial=0), 1)
        x, y = curve.mean_estimate[filled], curve.mean_true_iou[filled]
        ax.plot(x, y, **style.line())
        dots.append(
            ax.scatter(x, y, s=np.maximum(area[filled], 8), color=style.colour, alpha=0.75,
                       linewidths=0, marker=style.marker, zorder=3)
        )  # fmt: skip
    key = [
        (f'{style.name}: ECE {written(curve.ece)}', style.colour) for style, curve in curves.items()
    ]
    coloured_key(ax, key, 'upper left')
    unit_ticks(ax)
    return dots


def draw_ap_by_iou(ax: Axes, curves: Sequence[APCurve]) -> list[Line2D]:
    """AP in percent at each IoU threshold, and beside each curve's name its mean AP."""
    plain_axes(ax, xlabel='IoU threshold', ylabel='mask AP (%)')
    lines = [ax.plot(c.thresholds, 100 * c.ap, **c.style.line())[0] for c in curves]
    key = [(f'{c.style.name}  {written(100 * c.mean_ap, 1)}', c.style.colour) for c in curves]
    ax.set_ylim(0, 100)
    ax.yaxis.set_major_locator(MultipleLocator(20))
    _threshold_ticks(ax, curves)
    coloured_key(ax, key)
    return lines


def draw_ap_gain(ax: Axes, curves: Sequence[APCurve], reference: APCurve) -> list[Line2D]:
    """By how many points each curve differs from the reference; what AP alone hardly shows.

    Returns:
        the reference's line at 0, then one for each curve.
    """
    plain_axes(ax, xlabel='IoU threshold', ylabel=f'points over\n{reference.style.name}')
    zero = ax.plot(reference.thresholds, 0 * reference.thresholds, **reference.style.line())
    lines = [
        ax.plot(
            curve.thresholds,
            100 * (curve.ap - reference.ap),
            marker=curve.style.marker,
            markersize=4,
            **curve.style.line(),
        )[0]
        for curve in curves
    ]
    _threshold_ticks(ax, curves)
    # The curves may be anywhere: no corner is sure to be free of all.
    leave_room_above(ax, len(curves))
    coloured_key(ax, [(c.style.name, c.style.colour) for c in curves], 'upper left')
    return [*zero, *lines]


def _threshold_ticks(ax: Axes, curves: Sequence[APCurve]) -> None:
    """The first, the last and the middle of what may be one threshold only."""
    if curves and len(curves[0].thresholds) > 1:
        low, high = curves[0].thresholds[[0, -1]]
        ax.set_xlim(low - 0.01, high + 0.01)
        ax.xaxis.set_major_locator(MultipleLocator(0.1))


def draw_scope_means(
    ax: Axes, scopes: Sequence[ScopeFigures], score_style: Style = STYLES['score']
) -> Sequence[Artist]:
    """One line a scope: mean true IoU as a bar, mean class score and mean predicted IoU beside it.

    How far a mark lies from the bar is the bias, its side says whether it is too high.

    Returns:
        bars, class scores and, where there are any, predicted IoUs.
    """
    plain_axes(ax, xlabel='mean over the detections', ylabel='')
    ax.grid(visible=False, axis='y')
    places = np.arange(len(scopes))
    true = np.array([scope.mean_true_iou for scope in scopes])
    means = {score_style: [scope.quality['score'].mean for scope in scopes]}
    if all('mask_iou' in scope.quality for scope in scopes):
        means[STYLES['mask_iou']] = [scope.quality['mask_iou'].mean for scope in scopes]
    bars: dict[str, Any] = dict(marker='|', markersize=17, markeredgewidth=3, color=INK)
    artists = ax.plot(true, places, linestyle='none', **bars)
    for style, values in means.items():
        ax.hlines(places, true, values, color=style.colour, linewidth=1.2, alpha=0.6)
        marks: dict[str, Any] = dict(marker=style.marker, markersize=7, color=style.colour)
        artists += ax.plot(values, places, linestyle='none', **marks)
    names = [f'{_short(scope.name)} ({grouped(scope.detections)})' for scope in scopes]
    ax.set_yticks(places, names, **VERBATIM)
    ax.set_ylim(max(len(scopes), 1) - 0.4, -0.6)
    ax.set_xlim(0, 1)
    ax.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1], ['0', '0.2', '0.4', '0.6', '0.8', '1'])
    _name_marks(ax, [('true IoU', INK), *((style.name, style.colour) for style in means)])
    return artists


def _name_marks(ax: Axes, entries: Sequence[tuple[str, str]]) -> None:
    """The marks' names above the axes, side by side in their colours."""
    boxes: list[Artist] = [
        TextArea(
            name, textprops=dict(color=colour, fontsize=TEXT_PT, fontweight='bold', **VERBATIM)
        )
        for name, colour in entries
    ]
    row = HPacker(children=boxes, pad=0, sep=10)
    where: dict[str, Any] = dict(bbox_to_anchor=(1, 1), bbox_transform=ax.transAxes)
    ax.add_artist(
        AnchoredOffsetbox('lower right', child=row, pad=0, borderpad=0.2, frameon=False, **where)
    )


def _short(name: str, length: int = 16) -> str:
    return name if len(name) <= length else name[: length - 1] + '…'
