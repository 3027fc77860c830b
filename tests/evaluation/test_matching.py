import numpy as np
import pytest

from msrcnn_plugin.evaluation.matching import OverlapCollector, pairwise_mask_iou, true_mask_iou

from .coco_sets import rectangle


def test_half_overlap():
    left, right = rectangle(0, 0, 20, 10), rectangle(10, 0, 20, 10)
    ious = pairwise_mask_iou([left, right], [left], [0])
    np.testing.assert_allclose(ious, [[1], [1 / 3]])


def test_crowd_covers_a_detection_that_lies_in_it():
    ious = pairwise_mask_iou([rectangle(2, 2, 4, 4)], [rectangle(0, 0, 50, 50)], [1])
    assert ious.tolist() == [[1.0]]


@pytest.mark.parametrize(('detections', 'truths'), [(0, 0), (0, 2), (2, 0)])
def test_nothing_to_compare(detections, truths):
    mask = rectangle(0, 0, 5, 5)
    ious = pairwise_mask_iou([mask] * detections, [mask] * truths, [0] * truths)
    assert ious.shape == (detections, truths)


def test_masks_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r'\(10, 10\) pixels .* truth \(120, 160\)'):
        pairwise_mask_iou([rectangle(0, 0, 5, 5, (10, 10))], [rectangle(0, 0, 5, 5)], [0])


def test_true_iou_is_the_largest_with_a_truth_that_is_no_crowd():
    ious = np.array([[0.2, 0.7, 0.9], [0.0, 0.0, 1.0]])
    assert true_mask_iou(ious, np.array([False, False, True])).tolist() == [0.7, 0]


def test_true_iou_without_ground_truth_is_zero():
    assert true_mask_iou(np.zeros((2, 0)), np.zeros(0, dtype=bool)).tolist() == [0, 0]


def test_collector_keeps_only_pairs_that_can_match():
    truth = {'iscrowd': 0, 'area': 9.0, 'id': 1, 'image_id': 7}
    detections = [{'id': 1, 'score': 0.5, 'area': 8}, {'id': 2, 'score': 0.6, 'area': 7}]
    collector = OverlapCollector(0.5)
    collector.add(0, detections, [truth], np.array([[0.4], [0.5]]))
    collector.add(1, [], [truth], np.zeros((0, 1)))
    overlaps = collector.collected()
    assert overlaps.true_iou.tolist() == [0.4, 0.5]
    assert overlaps.pair_detection.tolist() == [1]
    assert overlaps.pair_truth.tolist() == [0]
    assert overlaps.truth_category.tolist() == [0, 1]
    assert overlaps.truth_image.tolist() == [7, 7]


def test_collector_of_nothing():
    overlaps = OverlapCollector(0.5).collected()
    assert len(overlaps.true_iou) == len(overlaps.truth_area) == len(overlaps.pair_iou) == 0
