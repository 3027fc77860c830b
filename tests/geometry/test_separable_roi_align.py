import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmcv.ops import roi_align

from msrcnn_plugin.geometry.separable_roi_align import roi_align_masks


def mmcv_roi_align(masks, index, boxes, size):
    rois = torch.cat([index[:, None].float(), boxes], 1)
    return roi_align(masks[:, None].float(), rois, size, 1.0, 0, 'avg', True)[:, 0]


@given(st.integers(0, 2**32 - 1), st.integers(0, 6), st.sampled_from([(28, 28), (14, 7), (1, 1)]))
def test_is_mmcvs_roi_align(seed, rois, size):
    rng = np.random.default_rng(seed)
    masks = torch.from_numpy(rng.random((3, 19, 33)) > rng.random())
    index = torch.from_numpy(rng.integers(0, 3, rois))
    corners = np.sort(rng.uniform(-5, 40, (rois, 2, 2)), axis=1).reshape(rois, 4)
    boxes = torch.from_numpy(corners.astype(np.float32))
    ours = roi_align_masks(masks, index, boxes, size)
    torch.testing.assert_close(ours, mmcv_roi_align(masks, index, boxes, size), atol=1e-5, rtol=0)


@pytest.mark.parametrize('box', [(5, 5, 5, 9), (3, 7, 9, 7), (4, 4, 4, 4)])
def test_a_box_without_area_is_empty(box):
    grid = roi_align_masks(
        torch.ones(1, 20, 20).bool(), torch.tensor([0]), torch.tensor([box]).float(), (7, 7)
    )
    assert grid.shape == (1, 7, 7)
    assert not grid.any()


def test_a_cell_is_the_mean_of_its_pixels_where_edges_agree():
    masks = torch.zeros(1, 4, 4).bool()
    masks[0, :2, :2] = masks[0, 0, 2] = True
    grid = roi_align_masks(masks, torch.tensor([0]), torch.tensor([[0.0, 0, 4, 4]]), (2, 2))
    assert grid[0].tolist() == [[1, 0.25], [0, 0]]
