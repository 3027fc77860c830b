"""Which masks the class score misjudges, by hand, and a picture of one."""

import dataclasses

import numpy as np
import pytest
from matplotlib.figure import Figure

from msrcnn_plugin.evaluation import MaskScoringPairs, RankingBasis
from msrcnn_plugin.visualization import (
    MisjudgedMask,
    draw_misjudged,
    most_overrated,
    most_underrated,
)
from msrcnn_plugin.visualization.gallery import crop_window, is_first_of_its_object


def pairs_of(scores, true_ious, images=None):
    count = len(scores)
    return MaskScoringPairs(
        image_id=np.arange(count) if images is None else np.array(images),
        category_id=np.ones(count, dtype=np.int64),
        box_score=np.array(scores, dtype=float),
        mask_score=np.array(scores, dtype=float),
        predicted_iou=None,
        true_iou=np.array(true_ious, dtype=float),
        area=np.ones(count),
        box=np.zeros((count, 4)),
        category_ids=np.array([1]),
        category_names=np.array(['cat']),
    )


def with_basis(pairs, place, detections, truths, ious, crowd=(False, False, False)):
    """The pairs of detections, in COCO's order, and objects; only they matter here."""
    basis = RankingBasis(
        place=np.array(place, dtype=np.int64),
        group=np.zeros(len(pairs), dtype=np.int64),
        truth_area=np.ones(3),
        truth_category=np.zeros(3, dtype=np.int64),
        truth_crowd=np.array(crowd),
        truth_id_is_zero=np.zeros(3, dtype=bool),
        pair_detection=np.array(detections, dtype=np.int64),
        pair_truth=np.array(truths, dtype=np.int64),
        pair_iou=np.array(ious),
        iou_thresholds=np.array([0.5]),
        recall_thresholds=np.array([0.0]),
        size_names=np.array(['all']),
        size_ranges=np.array([[0, 1e10]]),
        max_dets=np.array([100]),
    )
    return dataclasses.replace(pairs, basis=basis)


def test_overrated_are_poor_masks_and_no_false_alarms():
    pairs = pairs_of([0.9, 0.9, 0.9, 0.3], [0.0, 0.2, 0.5, 0.8])
    assert most_overrated(pairs, 5).tolist() == [1, 2]


def test_underrated_are_good_masks_of_low_score():
    pairs = pairs_of([0.9, 0.1, 0.2], [0.8, 0.7, 0.9])
    assert most_underrated(pairs, 5).tolist() == [2, 1]


def test_at_most_two_of_an_image_and_the_number_asked_for():
    pairs = pairs_of([0.9] * 4, [0.2, 0.3, 0.4, 0.5], images=[7, 7, 7, 8])
    assert most_overrated(pairs, 5).tolist() == [0, 1, 3]
    assert most_overrated(pairs, 1).tolist() == [0]
    assert most_overrated(pairs, 0).tolist() == []


def test_a_second_mask_of_an_object_is_rightly_low():
    pairs = pairs_of([0.9, 0.1, 0.2], [0.8, 0.7, 0.6])
    # COCO's order is 1, 0, 2: the first two meet object 0; the third object 1, and object 0 less.
    pairs = with_basis(pairs, [1, 0, 2], [0, 1, 2, 2], [0, 0, 1, 0], [0.7, 0.8, 0.6, 0.55])
    assert is_first_of_its_object(pairs).tolist() == [True, False, True]
    assert most_underrated(pairs, 5).tolist() == [2]


def test_a_crowd_is_no_object_that_is_found_once():
    pairs = pairs_of([0.9, 0.1], [0.8, 0.7])
    both = with_basis(pairs, [0, 1], [0, 1], [0, 0], [0.7, 0.8], crowd=[True, False, False])
    assert is_first_of_its_object(both).all()


def test_no_detections():
    assert most_overrated(pairs_of([], []), 3).tolist() == []
    assert most_underrated(with_basis(pairs_of([], []), [], [], [], []), 3).tolist() == []


@pytest.mark.parametrize(
    ('box', 'rows', 'columns'),
    [
        ((100, 100, 110, 110), (81, 129), (81, 129)),  # small: 48 px
        ((50, 80, 150, 120), (25, 175), (25, 175)),  # 1.5 times the longer side
        ((0, 190, 10, 200), (152, 200), (0, 48)),  # moved into the image
        ((0, 0, 300, 200), (0, 200), (0, 300)),  # no larger than the image
    ],
)
def test_window_around_a_box(box, rows, columns):
    window = crop_window(box, (200, 300))
    assert [(part.start, part.stop) for part in window] == [rows, columns]


def case(mask_pixels, truth_pixels):
    image, (mask, truth) = np.zeros((10, 10, 3), np.uint8), np.zeros((2, 10, 10), dtype=bool)
    mask[:mask_pixels], truth[:, :truth_pixels] = True, True
    return MisjudgedMask(image, mask, truth, 'a.png', 'cat', 0.9, 0.5, 0.1)


@pytest.mark.parametrize(('mask', 'truth', 'outlines'), [(3, 4, 2), (10, 0, 1), (0, 0, 0)])
def test_outlines_of_what_has_pixels(mask, truth, outlines):
    ax = Figure().add_subplot()
    assert len(draw_misjudged(ax, case(mask, truth))) == outlines
    assert len(ax.images) == 1
