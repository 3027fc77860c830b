"""The masks whose class score misjudges them most, and a picture of each.

Shapes: ``N`` detections of a data set, an image crop of ``h`` x ``w`` pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from numpy.typing import NDArray

from ..evaluation import Matches
from .outline import draw_outline

# Of one image, so that a single bad one does not fill the gallery.
MOST_OF_AN_IMAGE = 2
# A mask that hardly meets an object of its class is a false alarm, not a poor mask.
LEAST_IOU = 0.1
# Outlines over photographs; both have a dark halo.
GT_COLOUR, PREDICTION_COLOUR = '#56B4E9', '#F0E442'


@dataclass(frozen=True)
class MisjudgedMask:
    """A detection, the object it meets best and what is around them."""

    image: NDArray[np.uint8]  # (h, w, 3) RGB crop
    mask: NDArray[np.bool_]  # (h, w)
    gt_mask: NDArray[np.bool_]  # (h, w)
    image_name: str
    class_name: str
    class_score: float
    predicted_iou: float | None  # None where the model predicts none
    true_iou: float


@dataclass(frozen=True)
class Gallery:
    """``overrated``: high class score, poor mask. ``underrated``: good mask, low class score."""

    overrated: tuple[MisjudgedMask, ...] = ()
    underrated: tuple[MisjudgedMask, ...] = ()


def most_overrated(matches: Matches, count: int) -> NDArray[np.int64]:
    """Detections (n,) whose class score exceeds the true IoU by most, n <= ``count``.

    Masks of a true IoU below `LEAST_IOU` are left out, and so are all but the first few of an
    image.
    """
    excess = matches.scores['score'] - matches.true_iou
    return _first_of_images(matches, np.where(matches.true_iou >= LEAST_IOU, excess, -1), count)


def most_underrated(matches: Matches, count: int) -> NDArray[np.int64]:
    """Detections (n,) whose true IoU exceeds the class score by most, n <= ``count``.

    A second mask of an object that another one finds with a higher class score is rightly low:
    such masks are left out.
    """
    excess = np.where(
        is_first_of_its_object(matches), matches.true_iou - matches.scores['score'], -1
    )
    return _first_of_images(matches, excess, count)


def is_first_of_its_object(matches: Matches) -> NDArray[np.bool_]:
    """(N,) False where another detection meets the same object with a higher class score.

    To meet is to reach the lowest IoU threshold, 0.5. A crowd is no object. True everywhere for
    matches of a file that does not say which object is met.
    """
    first = np.ones(len(matches), dtype=bool)
    countable = ~matches.gt_crowd[matches.pair_gt]
    detection, gt = matches.pair_detection[countable], matches.pair_gt[countable]
    score = matches.scores['score'][detection]
    highest = np.full(len(matches.gt_area), -np.inf)
    np.maximum.at(highest, gt, score)
    # The object a detection meets best comes last, and overwrites the others.
    order = np.argsort(matches.pair_iou[countable], kind='stable')
    first[detection[order]] = (score >= highest[gt])[order]
    return first


def _first_of_images(
    matches: Matches, excess: NDArray[np.float64], count: int
) -> NDArray[np.int64]:
    """Detections of positive excess, largest first, at most `MOST_OF_AN_IMAGE` of each image."""
    chosen: list[int] = []
    taken: dict = {}
    for place in np.argsort(-excess, kind='stable'):
        if len(chosen) == count or excess[place] <= 0:
            break
        image = int(matches.image[place])
        taken[image] = taken.get(image, 0) + 1
        if taken[image] <= MOST_OF_AN_IMAGE:
            chosen.append(int(place))
    return np.array(chosen, dtype=np.int64)


def crop_window(
    box: tuple[int, int, int, int], image_size: tuple[int, int], *, least: int = 48
) -> tuple[slice, slice]:
    """Rows and columns of a square around a box with half its size as margin, within the image.

    Args:
        box: x1, y1, x2, y2 in pixels.
        image_size: height, width.
        least: side of the square in pixels at least, so that small objects keep their surroundings.
    """
    x1, y1, x2, y2 = box
    side = max(least, round(1.5 * max(x2 - x1, y2 - y1)))
    return _span((y1 + y2) / 2, side, image_size[0]), _span((x1 + x2) / 2, side, image_size[1])


def _span(middle: float, side: int, length: int) -> slice:
    start = int(np.clip(round(middle - side / 2), 0, max(length - side, 0)))
    return slice(start, min(start + side, length))


def draw_misjudged(ax: Axes, case: MisjudgedMask) -> list[Artist]:
    """The crop with the outlines of ground truth and prediction; those of them that have pixels."""
    ax.set_axis_off()
    ax.imshow(case.image, interpolation='nearest')
    outlines = ((case.gt_mask, GT_COLOUR), (case.mask, PREDICTION_COLOUR))
    return [draw_outline(ax, mask, colour) for mask, colour in outlines if mask.any()]
