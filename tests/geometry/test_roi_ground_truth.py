import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmdet.structures.mask import BitmapMasks

from msrcnn_plugin.geometry import cut_windows, mask_coverage, masks_on_grid

HEIGHT, WIDTH = 24, 36


def overlap(edges_from, edges_to, length):
    """(R, length) share of each pixel of a line that lies in [from, to]."""
    pixel = np.arange(length)
    return (np.minimum(edges_to[:, None], pixel + 1) - np.maximum(edges_from[:, None], pixel)).clip(
        0
    )


def brute_force_coverage(masks, boxes, inds):
    inside_x = overlap(boxes[:, 0], boxes[:, 2], masks.shape[2])
    inside_y = overlap(boxes[:, 1], boxes[:, 3], masks.shape[1])
    inside = np.einsum('rh,rhw,rw->r', inside_y, masks[inds].astype(float), inside_x)
    return inside / masks.sum((1, 2))[inds]


@st.composite
def scenes(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count, rois = draw(st.integers(1, 4)), draw(st.integers(0, 8))
    masks = np.zeros((count, HEIGHT, WIDTH), np.uint8)
    for mask in masks:
        x, y = rng.integers(0, WIDTH - 1), rng.integers(0, HEIGHT - 1)
        w, h = rng.integers(1, WIDTH), rng.integers(1, HEIGHT)
        blob = mask[y : y + h, x : x + w]
        blob[:] = rng.random(blob.shape) > rng.choice([0.0, 0.3, 0.9])
        blob[0, 0] = 1
    corners = np.sort(rng.uniform(-4, 40, (rois, 2, 2)), axis=1)
    return masks, corners.reshape(rois, 4).astype(np.float32), rng.integers(0, count, rois)


@given(scenes())
def test_coverage_is_that_of_the_pixels(scene):
    masks, boxes, inds = scene
    windows = cut_windows(masks)
    coverage, valid = mask_coverage(windows, torch.from_numpy(boxes), torch.from_numpy(inds))
    clipped = boxes.clip(0, [WIDTH, HEIGHT, WIDTH, HEIGHT])
    has_area = (clipped[:, 2] > clipped[:, 0]) & (clipped[:, 3] > clipped[:, 1])
    assert valid.numpy().tolist() == has_area.tolist()
    expected = np.where(has_area, brute_force_coverage(masks, clipped, inds), 0)
    np.testing.assert_allclose(coverage, expected, atol=1e-5)


@given(scenes())
def test_grid_is_mmdets(scene):
    masks, boxes, inds = scene
    boxes = boxes.clip(0, [WIDTH, HEIGHT, WIDTH, HEIGHT]).astype(np.float32)
    windows = cut_windows(masks)
    grid = masks_on_grid(windows, torch.from_numpy(boxes), torch.from_numpy(inds), (28, 28))
    assert grid.shape == (len(boxes), 28, 28)
    if len(boxes):
        stock = BitmapMasks(masks, HEIGHT, WIDTH).crop_and_resize(
            boxes, (28, 28), inds, binarize=False
        )
        np.testing.assert_allclose(grid, stock.to_ndarray(), atol=2e-5)


BORDERS = [
    (0, 0, 10, 10), (26, 0, 36, 10), (0, 14, 10, 24), (26, 14, 36, 24), (0, 0, 36, 24),
    (0.3, 0.3, 35.7, 23.7), (35.2, 0, 36, 24), (0, 23.5, 36, 24), (-5, -5, 3, 3), (30, 20, 50, 50),
]  # fmt: skip


@pytest.mark.parametrize('box', BORDERS)
def test_on_every_border_the_grid_is_mmdets(box):
    masks = np.ones((1, HEIGHT, WIDTH), np.uint8)
    masks[0, 5:9, 7:30] = 0
    box = np.array([box], np.float32).clip(0, [WIDTH, HEIGHT, WIDTH, HEIGHT]).astype(np.float32)
    inds = np.zeros(1, np.int64)
    windows = cut_windows(masks)
    grid = masks_on_grid(windows, torch.from_numpy(box), torch.from_numpy(inds), (14, 28))
    stock = BitmapMasks(masks, HEIGHT, WIDTH).crop_and_resize(box, (14, 28), inds, binarize=False)
    np.testing.assert_allclose(grid, stock.to_ndarray(), atol=1e-5)


def test_coverage_of_a_six_pixel_object_by_a_fractional_box():
    # mmdet truncates the box to whole pixels and sees 3 of 6 columns here; 3.75 of them are inside.
    masks = np.zeros((1, 20, 20), np.uint8)
    masks[0, 4:10, 4:10] = 1
    boxes = torch.tensor([[2.0, 2.0, 7.75, 12.0]])
    coverage, valid = mask_coverage(cut_windows(masks), boxes, torch.tensor([0]))
    assert valid.all()
    assert coverage.item() == pytest.approx(3.75 / 6)


@pytest.mark.parametrize(
    ('box', 'why'),
    [
        ((40, 30, 60, 50), 'beyond the image'),
        ((-9, -9, -1, -1), 'before the image'),
        ((36, 2, 36, 9), 'a line on the border'),
        ((5, 5, 5, 5), 'a point'),
    ],
)
def test_a_box_without_area_in_the_image_is_not_valid(box, why):
    masks = np.ones((1, HEIGHT, WIDTH), np.uint8)
    windows, boxes = cut_windows(masks), torch.tensor([box]).float()
    coverage, valid = mask_coverage(windows, boxes, torch.tensor([0]))
    assert (coverage.item(), valid.item()) == (0, False), why
    assert not masks_on_grid(windows, boxes, torch.tensor([0]), (7, 7)).any()


def test_a_mask_without_area_is_not_valid():
    windows = cut_windows(np.zeros((2, 20, 30), np.uint8))
    boxes = torch.tensor([[0.0, 0, 9, 9], [5.0, 5, 30, 20]])
    coverage, valid = mask_coverage(windows, boxes, torch.tensor([0, 1]))
    assert not valid.any()
    assert coverage.tolist() == [0, 0]


def test_no_masks_and_no_rois():
    windows = cut_windows(np.zeros((0, 20, 30), np.uint8))
    none = torch.zeros(0, 4), torch.zeros(0).long()
    assert masks_on_grid(windows, *none, (28, 28)).shape == (0, 28, 28)
    assert [part.shape for part in mask_coverage(windows, *none)] == [(0,), (0,)]
