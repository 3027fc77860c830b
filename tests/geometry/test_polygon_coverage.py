import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from msrcnn_plugin.geometry import cut_windows, mask_coverage, polygon_coverage, polygon_shapes

SQUARE = [np.array([2.0, 2, 8, 2, 8, 8, 2, 8])]
BOW_TIE = [np.array([0.0, 0, 4, 4, 4, 0, 0, 4])]
TWICE = [SQUARE[0], SQUARE[0] + np.tile([3.0, 0], 4)]
OUTSIDE = [np.array([-6.0, 0, 6, 0, 6, 6, -6, 6])]
A_LINE = [np.array([1.0, 1, 5, 5])]
FLAT = [np.array([1.0, 1, 5, 5, 9, 9])]


def coverage_of(polygon, box, size=(20, 20)):
    coverage, valid = polygon_coverage(
        polygon_shapes([polygon], size), np.array([box], np.float32), np.array([0])
    )
    return coverage.item(), valid.item()


@pytest.mark.parametrize(
    ('polygon', 'box', 'share'),
    [
        (SQUARE, (0, 0, 5, 20), 1 / 2),
        (SQUARE, (3.5, 2, 5, 8), 1 / 4),
        (SQUARE, (0, 0, 20, 20), 1),
        (BOW_TIE, (0, 0, 2, 4), 1 / 2),
        (TWICE, (0, 0, 5, 20), 3 / 9),  # the overlap counts once: x from 2 to 11
        (OUTSIDE, (0, 0, 3, 6), 1 / 2),  # what lies outside the image does not count
        (SQUARE, (12, 12, 20, 20), 0),
    ],
)
def test_share_of_the_area_inside(polygon, box, share):
    coverage, valid = coverage_of(polygon, box)
    assert valid
    assert coverage == pytest.approx(share)


@pytest.mark.parametrize('polygon', [A_LINE, FLAT, []])
def test_an_object_without_area_is_not_valid(polygon):
    assert coverage_of(polygon, (0, 0, 10, 10)) == (0, False)


@pytest.mark.parametrize('box', [(3, 3, 3, 9), (4, 4, 4, 4)])
def test_a_box_without_area_is_not_valid(box):
    assert coverage_of(SQUARE, box) == (0, False)


def test_no_objects_and_no_rois():
    shapes = polygon_shapes([], (20, 20))
    coverage, valid = polygon_coverage(shapes, np.zeros((0, 4), np.float32), np.zeros(0, int))
    assert coverage.shape == valid.shape == (0,)
    assert (coverage.dtype, valid.dtype) == (torch.float32, torch.bool)


@given(st.integers(0, 2**32 - 1))
def test_of_rectangles_on_the_pixel_grid_it_is_that_of_their_pixels(seed):
    rng = np.random.default_rng(seed)
    masks, polygons = np.zeros((3, 30, 40), np.uint8), []
    for mask in masks:
        (x1, x2), (y1, y2) = (np.sort(rng.choice(n, 2, replace=False)) for n in (41, 31))
        mask[y1:y2, x1:x2] = 1
        polygons.append([np.array([x1, y1, x2, y1, x2, y2, x1, y2], float)])
    boxes = np.sort(rng.uniform(0, 30, (5, 2, 2)), axis=1).reshape(5, 4).astype(np.float32)
    inds = rng.integers(0, 3, 5)
    outlines = polygon_coverage(polygon_shapes(polygons, (30, 40)), boxes, inds)
    pixels = mask_coverage(cut_windows(masks), torch.from_numpy(boxes), torch.from_numpy(inds))
    torch.testing.assert_close(outlines[0], pixels[0], atol=1e-5, rtol=0)
    assert torch.equal(outlines[1], pixels[1])
