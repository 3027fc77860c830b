"""The exponent of the class score: by hand, and against the rankings that it leads to."""

import dataclasses
import math

import numpy as np
import pytest

from msrcnn_plugin.evaluation import ap_by_exponent, best_exponent

from .coco_sets import data_set, random_set, rectangle
from .test_bootstrap import pairs_of


def scored(pairs, box_score, predicted_iou):
    scores = dict(box_score=np.array(box_score), predicted_iou=np.array(predicted_iou))
    return dataclasses.replace(pairs, **scores)


def two_masks_one_object():
    """A perfect mask of a low class score, then a poor one, IoU 0.6, of a high one."""
    data = data_set([1], [(1, 1, rectangle(0, 0, 40, 40))])
    results = [
        dict(image_id=1, category_id=1, segmentation=rectangle(0, 0, 40, height), score=0.5)
        for height in (40, 24)
    ]
    return scored(pairs_of(data, results), [0.4, 0.8], [1.0, 0.6])


def test_by_hand():
    # 0.4^a * 1.0 against 0.8^a * 0.6: the perfect mask is first below a = 0.737.
    ap = ap_by_exponent(two_masks_one_object(), [0.0, 0.7, 0.8, 1.0])
    # Above IoU 0.6, 7 thresholds of 10, the poor mask first halves the precision.
    assert list(ap) == [0.0, 0.7, 0.8, 1.0]
    assert list(ap.values()) == pytest.approx([1.0, 1.0, 0.65, 0.65])
    assert best_exponent(ap) == 0.7


def test_one_is_the_mask_score_and_zero_the_predicted_iou():
    data, results = random_set(5, images=4)
    box_score, predicted = np.random.default_rng(5).random((2, len(results)))
    pairs = scored(pairs_of(data, results), box_score, predicted)
    ap = ap_by_exponent(pairs, (0, 1))
    assert ap[0] == pairs.rank(predicted).ap()
    assert ap[1] == pairs.rank(box_score * predicted).ap()
    assert ap[0] != ap[1]


def test_equal_ones_keep_the_papers():
    assert best_exponent({0.0: 0.5, 0.75: 0.5, 2.0: 0.5}) == 0.75
    assert best_exponent({0.0: math.nan, 2.0: 0.1}) == 2.0


def test_without_objects_none_is_the_best():
    data, results = random_set(7, images=2, truths=0)
    scores = np.zeros(len(results))
    ap = ap_by_exponent(scored(pairs_of(data, results), scores, scores))
    assert all(map(math.isnan, ap.values()))
    with pytest.raises(ValueError, match='no object'):
        best_exponent(ap)


def test_no_detections_rank_alike():
    data, _ = random_set(6, images=2, truths=4)
    assert set(ap_by_exponent(scored(pairs_of(data, []), [], [])).values()) == {0}


def test_what_cannot_be_ranked_is_refused():
    pairs = two_masks_one_object()
    with pytest.raises(ValueError, match='have no predicted IoU'):
        ap_by_exponent(dataclasses.replace(pairs, predicted_iou=None))
    for wrong in (-1.0, math.nan):
        with pytest.raises(ValueError, match='give numbers of 0 or more'):
            ap_by_exponent(pairs, [wrong])
