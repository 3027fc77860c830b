"""Two tests of the same masks are told from tests of others, whatever a GPU rounds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from projects.ablations.scoring import FAR, difference, same_masks


def detections(count, seed):
    rng = np.random.default_rng(seed)
    numbers = FAR * rng.integers(0, 3, (count, 2))
    return np.hstack([numbers, rng.uniform(0, 500, (count, 4))]), rng.uniform(0, 1, count)


@given(count=st.integers(0, 40), seed=st.integers(0, 999))
def test_rounding_and_order_do_not_matter(count, seed):
    points, iou = detections(count, seed)
    rng = np.random.default_rng(seed + 1)
    order = rng.permutation(count)
    moved = points + rng.uniform(-0.01, 0.01, points.shape)
    places = same_masks(points, moved[order], iou, (iou + 0.02)[order])
    assert (order[places] == np.arange(count)).all()


@pytest.mark.parametrize('column', range(6))
def test_another_image_class_or_box_is_another_mask(column):
    points, iou = detections(20, 0)
    other = points.copy()
    other[7, column] += FAR if column < 2 else 1
    assert same_masks(points, other, iou, iou) is None


def test_another_true_iou_or_count_is_another_mask():
    points, iou = detections(20, 0)
    assert same_masks(points, points, iou, np.where(np.arange(20) == 7, 1 - iou, iou)) is None
    assert same_masks(points, points[:-1], iou, iou[:-1]) is None


def test_without_the_other_test_there_is_no_difference(tmp_path):
    assert difference(tmp_path, tmp_path / 'other') == {}
