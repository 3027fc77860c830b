"""Boundary IoU by hand, against erosion step by step, and in a result."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as mask_utils

from msrcnn_plugin.evaluation import evaluate_coco
from msrcnn_plugin.evaluation.boundary import (
    boundary_width,
    mask_boundary,
    pairwise_boundary_iou,
)

SIDE = 100  # whose diagonal makes a boundary of 3 pixels


def square(x, y, side, hole=0, size=SIDE):
    mask = np.zeros((size, size), np.uint8, order='F')
    mask[y : y + side, x : x + side] = 1
    inner = slice((side - hole) // 2, (side + hole) // 2)
    mask[y : y + side, x : x + side][inner, inner] = 0
    rle = mask_utils.encode(mask)
    return dict(rle, counts=rle['counts'].decode())


def iou(first, second, crowd=0):
    return pairwise_boundary_iou([first], [second], [crowd])[0, 0]


@pytest.mark.parametrize(
    ('height', 'width', 'expected'), [(100, 100, 3), (480, 640, 16), (10, 10, 1), (3, 4, 1)]
)
def test_width(height, width, expected):
    assert boundary_width(height, width) == expected


def test_a_square_in_a_larger_one_by_hand():
    # The rings have 40 * 40 - 34 * 34 and 36 * 36 - 30 * 30 pixels. The ring of the smaller one
    # begins 2 pixels further inside, so 1 pixel of both rings is common: 36 * 36 - 34 * 34.
    outer, inner = 40**2 - 34**2, 36**2 - 30**2
    common = 36**2 - 34**2
    expected = common / (outer + inner - common)
    assert iou(square(20, 20, 40), square(22, 22, 36)) == pytest.approx(expected)


def test_equal_masks_have_1_and_apart_masks_0():
    assert iou(square(20, 20, 40), square(20, 20, 40)) == 1
    assert iou(square(0, 0, 40), square(50, 50, 40)) == 0


def test_a_ring_gains_nothing():
    # Boundaries that are equal: the mask IoU decides.
    ring = square(20, 20, 40, hole=34)
    assert iou(ring, square(20, 20, 40)) == pytest.approx((40**2 - 34**2) / 40**2)


def test_a_mask_thinner_than_two_boundaries_counts_whole():
    assert iou(square(20, 20, 6), square(22, 20, 6)) == pytest.approx(24 / 48)


def test_a_crowd_keeps_the_mask_iou():
    assert iou(square(22, 22, 36), square(20, 20, 40), crowd=1) == 1


def test_nothing():
    assert pairwise_boundary_iou([], [square(0, 0, 5)], [0]).shape == (0, 1)
    assert pairwise_boundary_iou([square(0, 0, 5)], [], []).shape == (1, 0)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**31), distance=st.integers(1, 5), cells=st.integers(1, 6))
def test_a_boundary_is_the_mask_minus_the_mask_eroded_step_by_step(seed, distance, cells):
    rng = np.random.default_rng(seed)
    mask = np.kron(rng.random((4, 5)) < 0.7, np.ones((cells, cells))).astype(np.uint8)
    eroded = cv2.erode(np.pad(mask, 1), np.ones((3, 3)), iterations=distance)[1:-1, 1:-1]
    np.testing.assert_array_equal(mask_boundary(mask, distance), mask > eroded)


def test_a_result_has_both_on_request():
    truth = dict(
        images=[dict(id=1, height=SIDE, width=SIDE)],
        categories=[dict(id=1, name='cell')],
        annotations=[
            dict(id=i, image_id=1, category_id=1, iscrowd=0, segmentation=mask)
            for i, mask in enumerate([square(0, 0, 40), square(50, 50, 40)], 1)
        ],
    )
    masks = [square(0, 0, 40), square(52, 52, 36)]
    found = [
        dict(image_id=1, category_id=1, score=score, segmentation=mask)
        for mask, score in zip(masks, (0.9, 0.8))
    ]
    result = evaluate_coco(truth, found, boundary=True)
    outer, inner, common = 40**2 - 34**2, 36**2 - 30**2, 36**2 - 34**2
    second = common / (outer + inner - common)
    assert second < 0.5 < 36**2 / 40**2
    assert result.mean_best_iou == pytest.approx((1 + 36**2 / 40**2) / 2)
    assert result.figures['mean_boundary_iou'] == pytest.approx((1 + second) / 2)
    # The second mask finds its object at IoU 0.5 to 0.8, and at no threshold by boundary IoU.
    assert result.figures['segm_mAP_cls_75'] == pytest.approx(1)
    assert result.figures['boundary_mAP_cls_75'] == pytest.approx(51 / 101)
    assert result.figures['boundary_mAP'] == pytest.approx(51 / 101)
    plain = evaluate_coco(truth, found)
    assert plain.boundary is None
    assert not any('boundary' in name for name in plain.figures)
    assert math.isnan(evaluate_coco(truth, []).mean_best_iou)
