"""Masks are pasted as mmdet pastes them, and results are COCO's."""

import numpy as np
import pytest
import torch
from mmdet.models.roi_heads.mask_heads.fcn_mask_head import _do_paste_mask
from pycocotools import mask as rle_tools

from msrcnn_plugin.deploy import Prediction

SIZE = (60, 80)


def prediction(boxes, probs=None, mask_ious=None):
    count = len(boxes)
    scores = np.linspace(0.9, 0.1, count, dtype=np.float32)
    mask_ious = np.full(count, 0.5, dtype=np.float32) if mask_ious is None else mask_ious
    return Prediction(
        size=SIZE,
        bboxes=np.array(boxes, dtype=np.float32).reshape(-1, 4),
        labels=np.arange(count) % 2,
        class_names=[f'class {i % 2}' for i in range(count)],
        scores=scores,
        mask_ious=mask_ious,
        mask_scores=scores * mask_ious,
        mask_probs=np.ones((count, 28, 28), dtype=np.float32) if probs is None else probs,
    )


def test_a_box_of_whole_pixels_is_filled():
    (mask,) = prediction([[10, 20, 30, 25]]).masks
    expected = np.zeros(SIZE, dtype=bool)
    expected[20:25, 10:30] = True
    np.testing.assert_array_equal(mask, expected)


def test_masks_are_those_of_mmdet():
    rng = np.random.default_rng(0)
    corners = rng.uniform([-10, -10], [80, 60], (200, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(0.5, 60, (200, 2))], 1)
    probs = rng.random((200, 28, 28), dtype=np.float32)
    found = prediction(boxes, probs)
    pasted, _ = _do_paste_mask(
        torch.from_numpy(probs)[:, None], torch.from_numpy(found.bboxes), *SIZE, skip_empty=False
    )
    expected = (pasted >= 0.5).numpy()
    same = (found.masks == expected).mean((1, 2))
    assert expected.any((1, 2)).mean() > 0.9
    assert same.min() > 0.999
    assert (same == 1).mean() > 0.9


@pytest.mark.parametrize('box', [[5, 5, 5, 9], [5, 5, 5, 5], [-9, -9, -5, -5], [90, 70, 99, 99]])
def test_boxes_without_a_pixel_of_the_image(box):
    found = prediction([box])
    assert found.masks.sum() <= 4 * 6
    assert found.rles()[0]['size'] == list(SIZE)


def test_coco_entries():
    found = prediction([[10, 20, 30, 25], [0, 0, 4, 4]])
    first, second = found.to_coco('a.jpg', ['cell', 7])
    assert first['bbox'] == [10, 20, 20, 5]
    assert (first['image_id'], first['category_id'], second['category_id']) == ('a.jpg', 'cell', 7)
    assert first['mask_score'] == pytest.approx(first['score'] * first['mask_iou'])
    np.testing.assert_array_equal(rle_tools.decode(first['segmentation']), found.masks[0])


def test_no_detection():
    found = prediction([])
    assert found.masks.shape == (0, *SIZE)
    assert found.to_coco(1, [1]) == []
