"""What a reader of images asks of small lesions: how many are found, how well, at what price.

Free-response ROC: detections above a score are kept; what finds no lesion is a false alarm.

Shapes: ``N`` detections, ``G`` lesions, ``B`` images.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from msrcnn_plugin.evaluation import Matches

LEAST_IOU = 0.5  # of a mask that finds a lesion
ALARMS = 0.1  # false alarms an image that a reader of lesions bears
SMALLEST_ALARMS = 1.0  # where an image holds tens of objects
RECALL = 0.8  # share of the lesions that must be found
SMALLEST_RECALL = 0.25  # of the smallest nuclei, of which the small models find a third at most
SMALLEST = 0.25  # share of the objects, by area


def free_response(
    matches: Matches,
    score: str,
    *,
    alarms: float = ALARMS,
    share: float = RECALL,
    largest: float = np.inf,
) -> dict[str, float]:
    """Measures the masks ranked by a score, in a data set of one class without crowds.

    The best-ranked mask of IoU 0.5 or more finds a lesion. Its duplicates are false alarms.

    Args:
        score: a key of ``matches.scores``.
        alarms: false alarms an image, on average, that are borne.
        share: of the lesions, in (0, 1], that must be found.
        largest: area in pixels of the largest lesion that counts. A mask that finds a larger one,
            or is larger itself and finds none, is neither right nor wrong.

    Returns:
        ``recall``: the share of the lesions found at ``alarms``;
        ``dice``: the mean dice of all lesions there, 0 for a missed one;
        ``alarms``: the false alarms an image at which ``share`` is found, NaN where it never is.
        All are NaN without lesions.
    """
    lesions, images = int((matches.gt_area <= largest).sum()), len(matches.image_ids)
    if not lesions:
        return dict.fromkeys(('recall', 'dice', 'alarms'), np.nan)
    order = np.argsort(-matches.scores[score], kind='stable')
    iou = matches.true_iou[order]
    found = np.where(iou >= LEAST_IOU, matches.best_gt[order], -1)
    area = np.where(found >= 0, matches.gt_area[found], matches.area[order])
    iou, found = iou[area <= largest], found[area <= largest]
    _, first = np.unique(found, return_index=True)
    hit = np.zeros(len(found), dtype=bool)
    hit[first] = True
    hit &= found >= 0
    false, recall = np.cumsum(~hit) / images, np.cumsum(hit) / lesions
    kept = hit & (false <= alarms)
    dice = 2 * iou[kept] / (1 + iou[kept])
    enough = false[recall >= share]
    return dict(
        recall=float(kept.sum() / lesions),
        dice=float(dice.sum() / lesions),
        alarms=float(enough[0]) if len(enough) else np.nan,
    )


def smallest_area(matches: Matches) -> float:
    """Returns the area in pixels up to which an object is of the smallest quarter; NaN without."""
    areas = matches.gt_area[~matches.gt_crowd]
    return float(np.quantile(areas, SMALLEST)) if len(areas) else float('nan')


def smallest_ap(matches: Matches, score: str) -> float:
    """Computes COCO's AP of the smallest quarter of the objects, by a score; others are ignored."""
    quarter = (0.0, smallest_area(matches))
    if np.isnan(quarter[1]):
        return float('nan')
    protocol = replace(
        matches.protocol, area_names=('all', 'smallest'), area_ranges=np.array([(0, 1e10), quarter])
    )
    return replace(matches, protocol=protocol).rank(score).ap(size='smallest')
