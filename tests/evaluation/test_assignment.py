import numpy as np

from msrcnn_plugin.evaluation import Matches
from msrcnn_plugin.evaluation.assignment import assign, outside, rank_in_group

ALL = np.array([[0, 1e10]])


def matches_of(ious, *, crowd=None, areas=None):
    """One image, one category, from IoUs (D, T); detections in the order of their score."""
    ious = np.array(ious, dtype=float)
    count, gts = ious.shape
    first, second = np.nonzero(ious >= 0)
    return Matches(
        image_ids=(1,), category_ids=(1,), category_names=('cat',),
        image=np.zeros(count, int), category=np.zeros(count, int),
        scores={'score': 1 - np.arange(count) / max(count, 1)},
        true_iou=np.zeros(count), best_gt=np.zeros(count, int), area=np.full(count, 50.0),
        box=np.zeros((count, 4)), result_index=np.arange(count),
        gt_image=np.zeros(gts, int), gt_category=np.zeros(gts, int),
        gt_area=np.array(areas or [50] * gts, float), gt_crowd=np.array(crowd or [0] * gts, bool),
        gt_id_is_zero=np.zeros(gts, bool),
        pair_detection=first, pair_gt=second, pair_iou=ious[first, second],
    )  # fmt: skip


def assigned(matches, area_ranges=ALL, max_det=100, threshold=0.5):
    ranks = rank_in_group(matches.scores['score'], matches.group)
    result = assign(matches, ranks, np.array([threshold]), area_ranges, max_det)
    return (result.pair[:, 0] >= 0).tolist(), result.ignored[:, 0].tolist()


def test_a_truth_is_taken_once_by_the_higher_score():
    hit, ignored = assigned(matches_of([[0.6], [0.9]]))
    assert hit == [[True, False]]
    assert ignored == [[False, False]]


def test_the_larger_iou_is_taken_and_leaves_the_other():
    hit, _ = assigned(matches_of([[0.6, 0.9], [0.0, 0.8], [0.7, 0.0]]))
    assert hit == [[True, False, True]]


def test_of_equal_ious_the_later_truth_is_taken():
    hit, _ = assigned(matches_of([[0.6, 0.6], [0.0, 0.8], [0.7, 0.0]]))
    assert hit == [[True, False, True]]


def test_a_crowd_is_never_used_up_and_its_detections_are_ignored():
    hit, ignored = assigned(matches_of([[0.9], [0.9]], crowd=[1]))
    assert hit == ignored == [[True, True]]


def test_a_truth_that_counts_goes_before_a_crowd():
    hit, ignored = assigned(matches_of([[0.6, 0.9]], crowd=[0, 1]))
    assert hit == [[True]]
    assert ignored == [[False]]


def test_what_lies_outside_the_size_range_is_ignored():
    hit, ignored = assigned(matches_of([[0.9], [0.1]], areas=[50]), np.array([[60, 90]]))
    assert hit == [[True, False]]
    assert ignored == [[True, True]]


def test_detections_beyond_the_limit_do_not_choose():
    hit, _ = assigned(matches_of([[0.1], [0.9]]), max_det=1)
    assert hit == [[False, False]]


def test_threshold_one_takes_a_perfect_mask():
    assert assigned(matches_of([[1.0]]), threshold=1.0)[0] == [[True]]


def test_no_detections_and_no_truths():
    assert assigned(matches_of(np.zeros((0, 0))))[0] == [[]]
    assert assigned(matches_of(np.zeros((2, 0))))[0] == [[False, False]]


def test_both_ends_belong_to_a_size_range():
    areas = np.array([1024.0, 1023.0, 9216.0, 9217.0])
    assert outside(areas, np.array([[1024, 9216]])).tolist() == [[False, True, False, True]]
