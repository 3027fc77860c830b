"""oLRP and LaECE by hand, and by their definitions spelled out in loops."""

import numpy as np
import pytest
from pycocotools import mask as mask_utils

from msrcnn_plugin.evaluation import match_coco
from msrcnn_plugin.evaluation.detection_errors import localisation_aware_ece, optimal_lrp


def bar(width, row=0):
    """A mask of so many pixels of one row, of 20."""
    mask = np.zeros((4, 20), np.uint8, order='F')
    mask[row, :width] = 1
    rle = mask_utils.encode(mask)
    return dict(rle, counts=rle['counts'].decode())


def matches_of(objects, found, categories=1):
    """Objects and detections (width, row[, score][, category]) of one image."""
    truth = dict(
        images=[dict(id=1, height=4, width=20)],
        categories=[dict(id=i + 1, name=f'c{i}') for i in range(categories)],
        annotations=[
            dict(id=i, image_id=1, category_id=1 + sum(more), segmentation=bar(width, row))
            for i, (width, row, *more) in enumerate(objects, 1)
        ],
    )
    results = [
        dict(image_id=1, category_id=1 + sum(more), segmentation=bar(width, row), score=score)
        for width, row, score, *more in found
    ]
    return match_coco(truth, results)


def test_olrp_by_hand():
    # IoU 1 and 0.8, a false positive between them; the third object is missed.
    matches = matches_of([(10, 0), (10, 1), (10, 2)], [(10, 0, 0.9), (10, 3, 0.5), (8, 1, 0.4)])
    found = optimal_lrp(matches, 'score')
    # All three kept: (0.2 / 0.5 + 1 + 1) / 4. The first alone: (0 + 0 + 2) / 3.
    assert found.error == pytest.approx(0.6)
    assert found.localisation == pytest.approx(0.1)
    assert found.false_positives == pytest.approx(1 / 3)
    assert found.false_negatives == pytest.approx(1 / 3)
    assert found.thresholds == {'c0': 0.4}
    # At IoU 0.7 the second mask's error weighs 0.2 / 0.3.
    assert optimal_lrp(matches, 'score', 0.7).error == pytest.approx((0.2 / 0.3 + 2) / 4)
    # At 0.85 it is no hit, and the first mask alone is best.
    assert optimal_lrp(matches, 'score', 0.85).error == pytest.approx(2 / 3)


def test_a_duplicate_is_a_false_positive_and_equal_scores_stay_together():
    matches = matches_of([(10, 0)], [(10, 0, 0.5), (9, 0, 0.5)])
    assert optimal_lrp(matches, 'score').error == pytest.approx(1 / 2)
    assert optimal_lrp(matches, [0.5, 0.4]).error == 0


def test_nothing_found_and_no_object():
    missed = optimal_lrp(matches_of([(10, 0)], [(10, 3, 0.5)]), 'score')
    assert (missed.error, missed.false_negatives) == (1, 1)
    assert np.isnan(
        [missed.localisation, missed.false_positives, *missed.thresholds.values()]
    ).all()
    assert optimal_lrp(matches_of([(10, 0)], []), 'score').error == 1
    empty = matches_of([], [(10, 3, 0.5)])
    assert np.isnan(optimal_lrp(empty, 'score').error)
    assert np.isnan(localisation_aware_ece(empty, 'score'))


def test_categories_are_averaged():
    objects, found = [(10, 0), (10, 1, 1)], [(10, 0, 0.9)]
    assert optimal_lrp(matches_of(objects, found, categories=3), 'score').error == 0.5


def test_laece_by_hand():
    matches = matches_of(
        [(10, 0), (10, 1), (10, 2)],
        [(10, 0, 0.90), (8, 1, 0.89), (10, 1, 0.10), (10, 3, 0.11)],
    )
    # Bins of 0.04: 0.90 and 0.89 share one, mean IoU 0.9 against mean score 0.895. The duplicate
    # and the false alarm share one, precision 0 against 0.105.
    assert localisation_aware_ece(matches, 'score') == pytest.approx((0.005 + 0.105) / 2)
    # A bin is closed above.
    edge = matches_of([(10, 0)], [(10, 0, 0.28), (10, 3, 0.25)])
    assert localisation_aware_ece(edge, 'score') == pytest.approx(abs(0.265 - 0.5))


def test_crowds_are_ignored():
    matches = matches_of([(10, 0), (10, 1)], [(10, 0, 1.0), (10, 1, 0.5)])
    crowd = matches.gt_crowd.copy()
    crowd[1] = True
    object.__setattr__(matches, 'gt_crowd', crowd)
    assert optimal_lrp(matches, 'score').error == 0
    assert localisation_aware_ece(matches, 'score') == 0


def by_definition(ious, scores, objects, threshold):
    """oLRP and LaECE of one image and category; ``ious`` (N, G)."""
    free, hits = set(range(objects)), {}
    for n in np.argsort(-scores, kind='stable'):
        options = [g for g in free if ious[n, g] >= threshold]
        if options:
            best = max(options, key=lambda g: (ious[n, g], g))
            free.remove(best)
            hits[n] = ious[n, best]
    errors = [1.0]
    for s in set(scores):
        kept = [n for n in range(len(scores)) if scores[n] >= s]
        tp = [hits[n] for n in kept if n in hits]
        fp, fn = len(kept) - len(tp), objects - len(tp)
        loose = sum((1 - iou) / (1 - threshold) for iou in tp)
        errors.append((loose + fp + fn) / (len(tp) + fp + fn))
    laece = 0
    for b in range(25):
        inside = [n for n, s in enumerate(scores) if b / 25 < s <= (b + 1) / 25]
        if inside:
            tp = [hits[n] for n in inside if n in hits]
            target = len(tp) / len(inside) * np.mean(tp) if tp else 0
            laece += len(inside) / len(scores) * abs(np.mean(scores[inside]) - target)
    return min(errors), laece


@pytest.mark.parametrize('seed', range(5))
@pytest.mark.parametrize('threshold', [0.5, 0.7])
def test_both_are_what_their_definitions_say(seed, threshold):
    rng = np.random.default_rng(seed)
    objects = [(int(w), int(r)) for w, r in zip(rng.integers(8, 20, 6), rng.integers(0, 4, 6))]
    rows = rng.integers(0, 4, 25)
    scores = rng.integers(1, 100, 25) / 100 - 0.003
    found = list(zip(rng.integers(6, 20, 25).tolist(), rows.tolist(), scores.tolist()))
    ious = np.array(
        [
            [(row == r) * min(w, width) / max(w, width) for w, r in objects]
            for width, row, _ in found
        ]
    )
    lrp, laece = by_definition(ious, scores, len(objects), threshold)
    matches = matches_of(objects, found)
    assert optimal_lrp(matches, 'score', threshold).error == pytest.approx(lrp)
    assert localisation_aware_ece(matches, 'score', threshold) == pytest.approx(laece)


def test_wrong_arguments():
    matches = matches_of([(10, 0)], [(10, 0, 0.9)])
    with pytest.raises(ValueError, match=r'threshold of 0\.3; these matches were made for 0\.5'):
        optimal_lrp(matches, 'score', 0.3)
    with pytest.raises(ValueError, match='outside'):
        localisation_aware_ece(matches, [1.5])
