"""The studies of export and of test-time augmentation, without a model."""

import numpy as np
import pytest

from projects.deployment.study import compared
from projects.deployment.tta_study import judged, matched_boxes

from ..evaluation.coco_sets import matches_of, random_set


def entry(*box, score=0.5):
    return dict(bbox=[*map(float, box)], category_id=1, score=score, mask_iou=0.5, mask_score=0.25)


def test_detections_that_one_side_has_alone():
    host = [entry(0, 0, 10, 10), entry(50, 50, 10, 10)]
    file = [entry(50, 50, 10.001, 10), entry(0, 0, 10, 10), entry(0, 0, 10, 5, score=0.05)]
    pairs, alone = compared(host, file)
    assert [(a['bbox'][0], b['bbox'][0]) for a, b in pairs] == [(0, 0), (50, 50)]
    assert alone == [dict(of='file', score=0.05, box_iou=pytest.approx(0.5))]


def test_boxes_of_rectangles_match_as_their_masks():
    data, results = random_set(2, images=6, truths=6, detections=30)
    matches = matches_of(data, results)
    boxes = matched_boxes(matches, data)
    assert len(boxes.pair_iou) > 10
    np.testing.assert_array_equal(boxes.pair_gt, matches.pair_gt)
    np.testing.assert_allclose(boxes.pair_iou, matches.pair_iou)
    scores = np.linspace(1, 0, len(matches))
    assert boxes.rank(scores).ap() == pytest.approx(matches.rank(scores).ap())


def test_gains_are_against_single_scale():
    data, results = random_set(2, images=6, truths=6, detections=30)
    matches = {'single': matches_of(data, results[::2]), 'flip': matches_of(data, results)}
    found = judged('flip', matches, matches, resamples=5)['at_300']['class_score']
    single = judged('single', matches, matches, resamples=5)['at_300']['class_score']
    assert set(single) == {'ap'}
    assert found['gain'] == pytest.approx(found['ap'] - single['ap'])
