"""What a reader asks of lesions, by hand."""

import numpy as np
import pytest

from msrcnn_plugin.evaluation import evaluate_coco
from projects.ablations.operating_point import free_response, smallest_ap

from ..evaluation.coco_sets import data_set, rectangle

FAR = rectangle(100, 60, 10, 10)


def lesions_in(images, found, lesions=((1, 10), (2, 10))):
    """Matches of lesions (image, width) and of masks (image, width or None for nothing, score)."""
    truth = [(image, 1, rectangle(0, 0, width, 10)) for image, width in lesions]
    results = [
        dict(
            image_id=image,
            category_id=1,
            segmentation=rectangle(0, 0, width, 10) if width else FAR,
            score=score,
        )
        for image, width, score in found
    ]
    truth = data_set(range(1, images + 1), truth, ('lesion',))
    return evaluate_coco(truth, results, scores=('score',)).matches


def test_recall_and_dice_where_an_image_has_a_tenth_of_a_false_alarm():
    # Ten images: one false alarm is borne. The second mask is a duplicate, the last comes too late.
    found = [(1, 8, 0.9), (1, 10, 0.8), (3, None, 0.7), (2, 10, 0.6)]
    figures = free_response(lesions_in(10, found), 'score')
    assert figures['recall'] == pytest.approx(1 / 2)
    assert figures['dice'] == pytest.approx(2 * 0.8 / 1.8 / 2)
    # The second lesion is found at the price of two in ten images.
    assert figures['alarms'] == pytest.approx(0.2)
    assert free_response(lesions_in(10, found), 'score', share=0.5)['alarms'] == 0


def test_a_mask_of_too_small_an_iou_is_a_false_alarm():
    figures = free_response(lesions_in(10, [(1, 4, 0.9), (2, 10, 0.8)]), 'score')
    assert figures == pytest.approx(dict(recall=0.5, dice=0.5, alarms=np.nan), nan_ok=True)


def test_nothing_found_and_nothing_to_find():
    nothing = free_response(lesions_in(3, []), 'score')
    assert nothing == pytest.approx(dict(recall=0, dice=0, alarms=np.nan), nan_ok=True)
    empty = lesions_in(3, [(1, None, 0.9)], lesions=())
    assert all(np.isnan(value) for value in free_response(empty, 'score').values())
    assert np.isnan(smallest_ap(empty, 'score'))


def test_the_smallest_quarter_alone_counts():
    lesions = [(1, 4), (2, 10), (3, 20), (4, 40), (5, 60)]
    # The smallest and the second are at most a quarter; of these one is found. The large mask
    # that misses is neither right nor wrong.
    found = [(5, 60, 0.9), (1, 4, 0.8)]
    assert smallest_ap(lesions_in(5, found, lesions), 'score') == pytest.approx(51 / 101)


def test_lesions_above_a_size_are_neither_right_nor_wrong():
    # Of 40 and 100 px. The large one is found twice; a mask of 100 px finds nothing, neither does
    # one of 10 px, which is the only false alarm.
    found = [(2, 10, 0.9), (2, 9, 0.8), (3, None, 0.7), (1, 1, 0.6), (1, 4, 0.5)]
    matches = lesions_in(10, found, [(1, 4), (2, 10)])
    assert free_response(matches, 'score', largest=50) == dict(recall=1, dice=1, alarms=0.1)
    strict = free_response(matches, 'score', largest=50, alarms=0.05)
    assert strict == dict(recall=0, dice=0, alarms=0.1)
