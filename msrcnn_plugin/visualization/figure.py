"""Draws scored images: an axes goes in, its artists come out, nothing is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import patheffects
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text
from numpy.typing import NDArray

from .outline import draw_outline
from .palette import VERBATIM
from .placement import label_corners
from .scored_image import ScoredImage

# Okabe and Ito's colours, which the colour-blind can tell apart; the marks below have two of them.
CLASS_COLOURS = ('#56B4E9', '#F0E442', '#E69F00', '#CC79A7', '#009E73')
# Marker, face, edge and size of each score.
MARKS: dict[str, dict[str, Any]] = {
    'class score': dict(marker='o', color='white', markeredgecolor='#444444', markersize=8),
    'predicted IoU': dict(marker='D', color='#0072B2', markersize=6),
    'true IoU': dict(marker='|', color='#D55E00', markersize=15, markeredgewidth=2.5),
}
NUMBER_SIZE_PT = 8
# The layout of a figure in inches.
PANEL_INCHES, GAP, HEAD, FOOT = 3.1, 0.15, 0.85, 0.4
NAMES_INCHES, SCORES_INCHES, MASK_SCORES_INCHES = 0.85, 2.7, 1.05
FIGURE_WIDTH = 3 * (PANEL_INCHES + GAP) + NAMES_INCHES + SCORES_INCHES + MASK_SCORES_INCHES


def class_colour(label: int) -> str:
    """Colour of a class, everywhere in the figure."""
    return CLASS_COLOURS[label % len(CLASS_COLOURS)]


def draw_image(ax: Axes, image: NDArray[np.uint8]) -> Artist:
    """The image alone, without ticks."""
    ax.set_axis_off()
    return ax.imshow(image, interpolation='nearest')


def draw_masks(
    ax: Axes,
    image: NDArray[np.uint8],
    masks: NDArray[np.bool_],
    labels: Sequence[int] | NDArray[np.integer],
    *,
    numbered: bool = False,
) -> list[Artist]:
    """The image under tinted, outlined masks; numbered from 1 in the order given if asked.

    Returns:
        the outlines of the masks that have pixels, then the numbers.
    """
    draw_image(ax, image)
    tint = np.zeros((*image.shape[:2], 4))
    for mask, label in zip(masks, labels):
        tint[mask] = _rgba(class_colour(label), 0.25)
    ax.imshow(tint, interpolation='nearest')
    filled = [i for i, mask in enumerate(masks) if mask.any()]
    outlines = [draw_outline(ax, masks[i], class_colour(labels[i])) for i in filled]
    if not numbered:
        return outlines
    return outlines + _numbers(ax, [masks[i] for i in filled], [i + 1 for i in filled])


def _rgba(colour: str, alpha: float) -> tuple[float, ...]:
    return (*(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)), alpha)


def _numbers(ax: Axes, masks: Sequence[NDArray], numbers: Sequence[int]) -> list[Text]:
    """Each number beside its mask, clear of the others."""
    if not len(masks):
        return []
    height, width = masks[0].shape
    pixels_per_point = max(height, width) / (PANEL_INCHES * 72)
    size = NUMBER_SIZE_PT * pixels_per_point
    label_size = (0.75 * size * max(len(str(number)) for number in numbers), 1.1 * size)
    corners = label_corners(np.array([_box(mask) for mask in masks]), label_size, (height, width))
    style: dict[str, Any] = dict(
        color='white', fontsize=NUMBER_SIZE_PT, fontweight='bold', ha='left', va='top'
    )
    stroke = [patheffects.withStroke(linewidth=2, foreground='black')]
    return [
        ax.text(x, y, str(number), path_effects=stroke, **style)
        for (x, y), number in zip(corners, numbers)
    ]


def _box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """x1, y1, x2, y2 of the mask's largest piece: a number belongs there, not at a far speck."""
    from scipy import ndimage  # slow to import

    pieces, count = ndimage.label(mask, np.ones((3, 3)))
    largest = 1 + np.bincount(pieces.ravel(), minlength=count + 1)[1:].argmax()
    rows, columns = ndimage.find_objects((pieces == largest).astype(int))[0]
    return columns.start, rows.start, columns.stop, rows.stop


def draw_scores(ax: Axes, image: ScoredImage, class_names: Sequence[str]) -> Sequence[Artist]:
    """One line a detection: its class score, predicted and true IoU; on the right its mask
    score with the place that it gives the detection. The names of duplicates are in brackets.

    Returns:
        three marks for each detection, in the order of `MARKS`.
    """
    places = np.arange(len(image))
    values = (image.scores, image.mask_ious, image.true_ious)
    ax.hlines(places, image.mask_ious, image.true_ious, color='#0072B2', linewidth=1.2, zorder=1)
    marks = [
        ax.plot(value[place], place, linestyle='none', **mark)[0]
        for place in places
        for value, mark in zip(values, MARKS.values())
    ]
    names = [f'{place + 1} {class_names[image.labels[place]]}' for place in places]
    names = [f'({name})' if twice else name for name, twice in zip(names, image.duplicates)]
    ax.set_yticks(places, names, fontsize=9, **VERBATIM)
    ax.set_ylim(max(len(image), 1) - 0.5, -0.5)
    ax.set_xlim(-0.03, 1.03)
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ['0', '0.25', '0.5', '0.75', '1'], fontsize=8)
    ax.grid(axis='x', color='#dddddd')
    ax.set_axisbelow(True)
    ax.spines[['top', 'right']].set_visible(False)
    _write_mask_scores(ax, image)
    return marks


def _write_mask_scores(ax: Axes, image: ScoredImage) -> None:
    """Mask score and the rank by it, right of each line; bold where the rank changes."""
    ranks = np.empty(len(image), int)
    ranks[np.argsort(-image.mask_scores, kind='stable')] = np.arange(len(image))
    for place, (score, rank) in enumerate(zip(image.mask_scores, ranks)):
        ax.text(
            1.06,
            place,
            f'{score:.2f}  #{rank + 1}',
            fontsize=9,
            va='center',
            fontweight='bold' if rank != place else 'normal',
        )


def draw_scores_legend(figure: Figure, **kwargs: Any) -> Legend:
    """What the marks of `draw_scores` mean."""
    marks = [Line2D([], [], linestyle='none', label=name, **MARKS[name]) for name in MARKS]
    return figure.legend(handles=marks, ncol=len(marks), frameon=False, fontsize=9, **kwargs)


def draw_class_legend(figure: Figure, class_names: Sequence[str], **kwargs: Any) -> Legend:
    """Which colour is which class."""
    patches = [
        Patch(facecolor=class_colour(i), edgecolor='black', label=name)
        for i, name in enumerate(class_names)
    ]
    legend = figure.legend(handles=patches, ncol=len(patches), frameon=False, fontsize=9, **kwargs)
    for text in legend.get_texts():
        text.set(**VERBATIM)
    return legend


def score_figure(images: Sequence[ScoredImage], class_names: Sequence[str], title: str) -> Figure:
    """One row an image: the image, its ground truth, its detections, their scores.

    The caller saves the figure; no window and no global state of matplotlib is touched.
    """
    figure = Figure(figsize=(FIGURE_WIDTH, HEAD + FOOT + len(images) * (PANEL_INCHES + GAP)))
    for place, image in enumerate(images):
        row = _add_row(figure, place)
        draw_image(row[0], image.image)
        draw_masks(row[1], image.image, image.gt_masks, image.gt_labels)
        draw_masks(row[2], image.image, image.masks, image.labels, numbered=True)
        draw_scores(row[3], image, class_names)
        if place == 0:
            _write_headings(row)
    height = figure.get_figheight()
    figure.suptitle(
        title,
        fontsize=13,
        x=GAP / FIGURE_WIDTH,
        y=1 - 0.12 / height,
        ha='left',
        va='top',
        **VERBATIM,
    )
    draw_class_legend(figure, class_names, loc='lower left', bbox_to_anchor=(0, 0))
    draw_scores_legend(figure, loc='lower right', bbox_to_anchor=(1, 0))
    return figure


def _add_row(figure: Figure, place: int) -> list[Axes]:
    """The four axes of a row, placed in inches: the names of the detections need their room."""
    height = figure.get_figheight()
    bottom = height - HEAD - place * (PANEL_INCHES + GAP) - PANEL_INCHES
    lefts = [GAP + i * (PANEL_INCHES + GAP) for i in range(3)]
    places = [(left, bottom, PANEL_INCHES, PANEL_INCHES) for left in lefts]
    scores_left = lefts[-1] + PANEL_INCHES + NAMES_INCHES
    # Room for the numbers below the axis.
    places.append((scores_left, bottom + 0.2, SCORES_INCHES, PANEL_INCHES - 0.2))
    return [
        figure.add_axes((x / FIGURE_WIDTH, y / height, w / FIGURE_WIDTH, h / height))
        for x, y, w, h in places
    ]


def _write_headings(row: Sequence[Axes]) -> None:
    names = ('image', 'ground truth', 'detections, numbered by class score', 'their scores')
    for ax, name in zip(row, names):
        ax.set_title(name, fontsize=11)
    row[3].text(
        1.06, 1.01, 'mask score\nand its rank', transform=row[3].transAxes, fontsize=9, va='bottom'
    )
