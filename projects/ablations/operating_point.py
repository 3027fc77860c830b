"""What a reader of images asks of small lesions: how many are found, how well, at what price.

Free-response ROC: detections above a score are kept; what finds no lesion is a false alarm.

Shapes: ``N`` detections, ``G`` lesions, ``B`` images.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from msrcnn_plugin.evaluation import Matches

LEAST_IOU = 0.5  # of a mask that finds a lesion
ALARMS = 0.1  # false alarms an image that a reader bears
RECALL = 0.8  # share of the lesions that must be found
SMALLEST = 0.25  # share of the objects, by area


def free_response(matches: Matches, score: str) -> dict[str, float]:
    """Measures the masks ranked by a score, in a data set of one class without crowds.

    The best-ranked mask of IoU 0.5 or more finds a lesion. Its duplicates are false alarms.

    Args:
        score: a key of ``matches.scores``.

    Returns:
        ``recall``: the share of the lesions found where an image has 0.1 false alarms on average;
        ``dice``: the mean dice of all lesions there, 0 for a missed one;
        ``alarms``: the false alarms an image at which 80 % are found, NaN where they never are.
        All are NaN without lesions.
    """
    lesions, images = len(matches.gt_area), len(matches.image_ids)
    if not lesions:
        return dict.fromkeys(('recall', 'dice', 'alarms'), np.nan)
    order = np.argsort(-matches.scores[score], kind='stable')
    iou = matches.true_iou[order]
    found = np.where(iou >= LEAST_IOU, matches.best_gt[order], -1)
    _, first = np.unique(found, return_index=True)
    hit = np.zeros(len(found), dtype=bool)
    hit[first] = True
    hit &= found >= 0
    alarms, recall = np.cumsum(~hit) / images, np.cumsum(hit) / lesions
    kept = hit & (alarms <= ALARMS)
    dice = 2 * iou[kept] / (1 + iou[kept])
    enough = alarms[recall >= RECALL]
    return dict(
        recall=float(kept.sum() / lesions),
        dice=float(dice.sum() / lesions),
        alarms=float(enough[0]) if len(enough) else np.nan,
    )


def smallest_ap(matches: Matches, score: str) -> float:
    """Computes COCO's AP of the smallest quarter of the objects, by a score; others are ignored."""
    areas = matches.gt_area[~matches.gt_crowd]
    if not len(areas):
        return float('nan')
    quarter = (0.0, float(np.quantile(areas, SMALLEST)))
    protocol = replace(
        matches.protocol, area_names=('all', 'smallest'), area_ranges=np.array([(0, 1e10), quarter])
    )
    return replace(matches, protocol=protocol).rank(score).ap(size='smallest')
