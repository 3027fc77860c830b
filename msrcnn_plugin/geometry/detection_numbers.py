"""Numbers that describe a detection and how it stands among the others of its image.

Boosted trees and a ranking head learn from these alone which masks are good and which are
duplicates. All functions are pure and follow the array API: they take arrays of numpy, torch and
others, and compute on the device of the arrays, without a loop over detections.

Shapes: ``N`` detections of one image, ``h, w`` the grid of soft masks, ``C`` carried numbers.
Arrays are float32 or float64; tables ``(N, N)`` have the detection as row and its neighbour as
column. Every number is finite, also for empty masks, boxes without extent and scores of 0 and 1.
``N`` may be 0. Time and memory are O(N²): 5 tables of (N, N) numbers, whatever the image's size.
"""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace, device

Array = Any  # of any library that follows the array API; all arrays of a call are of one

# Columns of `detection_numbers`. Natural logarithms.
DETECTION_NUMBERS = (
    'score_logit',  # logit of the class score
    'box_fill',  # share of the box that the mask covers, at most 1
    'log_mask_area',  # pixels, at least 1
    'log_box_area',  # pixels, at least 1
    'log_aspect',  # width over height of the box
    'touches_border',  # 1 where the box is less than a pixel from the border, else 0
    'log_relative_area',  # mask area over the median of the image's confident detections
    'log_count',  # 1 + detections of the image
    'log_confident_count',  # 1 + confident ones
)
# Columns of `soft_numbers`.
SOFT_NUMBERS = (
    'mean_mask_prob',  # over the pixels of the mask
    'mask_prob_deviation',  # standard deviation over the same pixels
    'share_between_cuts',  # of the pixels above the low cut, those below the high one
)
# Last axis of `pair_numbers`; of row ``i`` and column ``j``.
PAIR_NUMBERS = (
    'mask_iou',  # IoU of the two masks; 1 for a mask with itself, 0 for an empty one
    'covered',  # share of mask i that mask j covers
    'covering',  # share of mask j that mask i covers
    'same_class',  # 1 or 0
    'better_scored',  # 1 where the score of j is greater than that of i; 0 for equal ones
)
# Columns of `neighbour_numbers`, before those that are carried.
NEIGHBOUR_NUMBERS = (
    'max_iou',  # largest mask IoU with any neighbour
    'max_better_iou',  # largest mask IoU with a better-scored one
    'sum_better_iou',  # sum of the mask IoUs with better-scored ones
    'log_overlaps',  # 1 + neighbours of a mask IoU above `OVERLAP`
    'max_covered',  # largest share of the mask that one neighbour covers
    'log_rank',  # 1 + better-scored ones
)
CONFIDENT = 0.5  # class score of a confident detection
OVERLAP = 0.1  # mask IoU
CUTS = (0.3, 0.7)  # mask probabilities
_MARGIN = 1e-6


def logit(probability: Array) -> Array:
    """Computes ln(p / (1 - p)), any shape; p outside [1e-6, 1 - 1e-6] is moved to the end."""
    xp = array_namespace(probability)
    inner = xp.clip(probability, _MARGIN, 1 - _MARGIN)
    return xp.log(inner) - xp.log1p(-inner)


def detection_numbers(
    scores: Array, boxes: Array, areas: Array, image_size: tuple[float, float]
) -> Array:
    """Computes what is known of each detection alone, (N, len(DETECTION_NUMBERS)).

    Args:
        scores: (N,) class scores, probabilities.
        boxes: (N, 4) x1, y1, x2, y2 in pixels of the image.
        areas: (N,) pixels of the masks.
        image_size: height and width of the image in pixels.
    """
    xp = array_namespace(scores, boxes, areas)
    count = scores.shape[0]
    if not count:
        return xp.zeros((0, len(DETECTION_NUMBERS)), dtype=scores.dtype, device=device(scores))
    x1, y1, x2, y2 = (boxes[:, side] for side in range(4))
    width, height = (xp.clip(x2 - x1, 1e-3, None), xp.clip(y2 - y1, 1e-3, None))
    log_area = xp.log(xp.clip(areas, 1.0, None))
    border = (x1 < 1) | (y1 < 1) | (x2 > image_size[1] - 1) | (y2 > image_size[0] - 1)
    is_confident = scores > CONFIDENT
    total, confident = xp.ones_like(scores) * count, xp.sum(_float(is_confident, scores))
    columns = (
        logit(scores),
        xp.clip(areas / (width * height), 0.0, 1.0),
        log_area,
        xp.log(xp.clip(width * height, 1.0, None)),
        xp.log(width / height),
        _float(border, scores),
        log_area - _median(log_area, is_confident | ~xp.any(is_confident)),
        xp.log1p(total),
        xp.log1p(xp.ones_like(scores) * confident),
    )
    return xp.stack(columns, axis=1)


def soft_numbers(mask_probs: Array, cut: float = 0.5) -> Array:
    """Computes what soft masks tell, (N, len(SOFT_NUMBERS)); 0 where no pixel is above a cut.

    Args:
        mask_probs: (N, h, w) probabilities, on the grid of the image or of the RoI.
        cut: probability from which a pixel belongs to the mask.
    """
    xp = array_namespace(mask_probs)
    inside, low, high = (_float(mask_probs > at, mask_probs) for at in (cut, *CUTS))
    pixels, low_pixels, high_pixels = (xp.sum(of, axis=(1, 2)) for of in (inside, low, high))
    mean = xp.sum(mask_probs * inside, axis=(1, 2)) / xp.clip(pixels, 1.0, None)
    error = (mask_probs - mean[:, None, None]) * inside
    deviation = xp.sqrt(xp.sum(error * error, axis=(1, 2)) / xp.clip(pixels, 1.0, None))
    between = (low_pixels - high_pixels) / xp.clip(low_pixels, 1.0, None)
    return xp.stack((mean, deviation, between), axis=1)


def pair_numbers(intersections: Array, areas: Array, scores: Array, labels: Array) -> Array:
    """Computes how each two detections stand to each other, (N, N, len(PAIR_NUMBERS)).

    Args:
        intersections: (N, N) pixels that two masks share.
        areas: (N,) pixels of the masks.
        scores: (N,) class scores.
        labels: (N,) classes, integers.
    """
    xp = array_namespace(intersections, areas, scores, labels)
    at_least_one = xp.clip(areas, 1.0, None)
    union = areas[:, None] + areas[None, :] - intersections
    tables = (
        intersections / xp.clip(union, 1.0, None),
        intersections / at_least_one[:, None],
        intersections / at_least_one[None, :],
        _float(labels[:, None] == labels[None, :], scores),
        _float(scores[:, None] < scores[None, :], scores),
    )
    return xp.stack(tables, axis=2)


def neighbour_numbers(pairs: Array, carried: Array, *, same_class: bool = True) -> Array:
    """Computes how each detection stands among its neighbours, (N, len(NEIGHBOUR_NUMBERS) + C).

    A detection is no neighbour of itself. The neighbours are those of its class, or those of all
    other classes.

    Args:
        pairs: (N, N, len(PAIR_NUMBERS)) of `pair_numbers`.
        carried: (N, C) numbers of each detection, such as its score's logit and its predicted IoU.
            Those of the better-scored neighbour of the largest IoU fill the last columns; the
            largest of each where several have that IoU, 0 where no better-scored one overlaps.
        same_class: which neighbours.
    """
    xp = array_namespace(pairs, carried)
    count = pairs.shape[0]
    if not count:
        shape = (0, len(NEIGHBOUR_NUMBERS) + carried.shape[1])
        return xp.zeros(shape, dtype=pairs.dtype, device=device(pairs))
    of_class = pairs[..., 3] if same_class else 1 - pairs[..., 3]
    counted = of_class * (1 - xp.eye(count, dtype=pairs.dtype, device=device(pairs)))
    iou, better = pairs[..., 0] * counted, pairs[..., 4] * counted
    better_iou = iou * better
    best_iou = xp.max(better_iou, axis=1)
    is_best = (better_iou == best_iou[:, None]) & (better_iou > 0)
    best = xp.max(xp.where(is_best[..., None], carried[None], -xp.inf), axis=1)
    columns = (
        xp.max(iou, axis=1),
        best_iou,
        xp.sum(better_iou, axis=1),
        xp.log1p(xp.sum(_float(iou > OVERLAP, iou), axis=1)),
        xp.max(pairs[..., 1] * counted, axis=1),
        xp.log1p(xp.sum(better, axis=1)),
    )
    best = xp.where(best_iou[:, None] > 0, best, xp.zeros_like(best))
    return xp.concat((xp.stack(columns, axis=1), best), axis=1)


def _float(condition: Array, like: Array) -> Array:
    return array_namespace(condition).astype(condition, like.dtype)


def _median(values: Array, counted: Array) -> Array:
    """Median, shape (), of the values (N,) that are counted; one at least is."""
    xp = array_namespace(values)
    # What is not counted is sorted behind the rest. The place stays on the device.
    ordered = xp.sort(xp.where(counted, values, xp.full_like(values, xp.inf)))
    amount = xp.sum(xp.astype(counted, xp.int64))
    middle = xp.stack(((amount - 1) // 2, amount // 2))
    return xp.mean(xp.take(ordered, middle, axis=0))
