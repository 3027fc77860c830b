"""Which masks the class score misjudges, by hand, and a picture of one."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from msrcnn_plugin.evaluation import Matches
from msrcnn_plugin.visualization import (
    MisjudgedMask,
    draw_misjudged,
    most_overrated,
    most_underrated,
)
from msrcnn_plugin.visualization.gallery import crop_window, is_first_of_its_object


def matches_of(scores, true_ious, images=None, pairs=(), crowd=(False, False, False)):
    """Detections by class score and true IoU; ``pairs`` of (detection, object, IoU)."""
    count = len(scores)
    detection, gt, iou = np.array(pairs, dtype=float).reshape(-1, 3).T
    return Matches(
        image_ids=tuple(range(10)), category_ids=(1,), category_names=('cat',),
        image=np.arange(count) if images is None else np.array(images),
        category=np.zeros(count, int), scores={'score': np.array(scores, float)},
        true_iou=np.array(true_ious, float), best_gt=np.zeros(count, int),
        area=np.ones(count), box=np.zeros((count, 4)), result_index=np.arange(count),
        gt_image=np.zeros(3, int), gt_category=np.zeros(3, int), gt_area=np.ones(3),
        gt_crowd=np.array(crowd), gt_id_is_zero=np.zeros(3, bool),
        pair_detection=detection.astype(int), pair_gt=gt.astype(int), pair_iou=iou,
    )  # fmt: skip


def test_overrated_are_poor_masks_and_no_false_alarms():
    pairs = matches_of([0.9, 0.9, 0.9, 0.3], [0.0, 0.2, 0.5, 0.8])
    assert most_overrated(pairs, 5).tolist() == [1, 2]


def test_underrated_are_good_masks_of_low_score():
    pairs = matches_of([0.9, 0.1, 0.2], [0.8, 0.7, 0.9])
    assert most_underrated(pairs, 5).tolist() == [2, 1]


def test_at_most_two_of_an_image_and_the_number_asked_for():
    pairs = matches_of([0.9] * 4, [0.2, 0.3, 0.4, 0.5], images=[7, 7, 7, 8])
    assert most_overrated(pairs, 5).tolist() == [0, 1, 3]
    assert most_overrated(pairs, 1).tolist() == [0]
    assert most_overrated(pairs, 0).tolist() == []


def test_a_second_mask_of_an_object_is_rightly_low():
    # The first two meet object 0; the third object 1, and object 0 less.
    pairs = [(1, 0, 0.7), (0, 0, 0.8), (2, 1, 0.6), (2, 0, 0.55)]
    matches = matches_of([0.9, 0.1, 0.2], [0.8, 0.7, 0.6], pairs=pairs)
    assert is_first_of_its_object(matches).tolist() == [True, False, True]
    assert most_underrated(matches, 5).tolist() == [2]


def test_a_crowd_is_no_object_that_is_found_once():
    pairs = [(0, 0, 0.7), (1, 0, 0.8)]
    both = matches_of([0.9, 0.1], [0.8, 0.7], pairs=pairs, crowd=[True, False, False])
    assert is_first_of_its_object(both).all()


def test_no_detections():
    assert most_overrated(matches_of([], []), 3).tolist() == []
    assert most_underrated(matches_of([], []), 3).tolist() == []


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
