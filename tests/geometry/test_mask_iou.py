import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from msrcnn_plugin.geometry import (
    RoIGroundTruth,
    cut_windows,
    mask_coverage,
    mask_iou_target,
    masks_on_grid,
)


def ground_truth(grid, coverage=1.0, valid=True):
    grid = torch.as_tensor(grid, dtype=torch.float32)[None]
    return RoIGroundTruth(grid, torch.tensor([float(coverage)]), torch.tensor([valid]))


def probs(grid):
    return torch.as_tensor(grid, dtype=torch.float32)[None]


LEFT_HALF = [[1, 1, 0, 0]] * 4
MIDDLE = [[0, 1, 1, 0]] * 4
NOTHING = [[0, 0, 0, 0]] * 4


def test_counts_the_object_outside_the_roi():
    # 4 cells shared, 8 predicted; 8 cells of the object lie inside, which is half of it: 16 in all.
    target = mask_iou_target(probs(MIDDLE), ground_truth(LEFT_HALF, coverage=0.5))
    assert target.iou.item() == pytest.approx(4 / (8 + 16 - 4))
    assert target.valid.item()


def test_a_perfect_mask_has_iou_one_however_unsure_it_is():
    # mmdet cuts the logit, not the probability, at 0.5: these masks would get less than 1 there.
    soft = torch.where(torch.tensor(LEFT_HALF) > 0, 0.51, 0.49)
    assert mask_iou_target(soft[None], ground_truth(LEFT_HALF)).iou.item() == 1


@pytest.mark.parametrize(
    ('predicted', 'true', 'coverage'),
    [(NOTHING, LEFT_HALF, 1), (LEFT_HALF, NOTHING, 0), (NOTHING, NOTHING, 0.5)],
)
def test_nothing_shared_is_zero_and_valid(predicted, true, coverage):
    target = mask_iou_target(probs(predicted), ground_truth(true, coverage))
    assert (target.iou.item(), target.valid.item()) == (0, True)


def test_what_has_no_iou_is_marked_and_zero():
    target = mask_iou_target(probs(LEFT_HALF), ground_truth(LEFT_HALF, coverage=0, valid=False))
    assert (target.iou.item(), target.valid.item()) == (0, False)


def test_no_rois():
    none = RoIGroundTruth(torch.zeros(0, 28, 28), torch.zeros(0), torch.zeros(0).bool())
    target = mask_iou_target(torch.zeros(0, 28, 28), none)
    assert target.iou.shape == target.valid.shape == (0,)


def test_no_gradient():
    mask_probs = probs(LEFT_HALF).requires_grad_()
    assert not mask_iou_target(mask_probs, ground_truth(LEFT_HALF)).iou.requires_grad


def test_half_precision_masks():
    target = mask_iou_target(probs(MIDDLE).half(), ground_truth(LEFT_HALF, coverage=0.5))
    assert target.iou.item() == pytest.approx(0.2)


@given(st.integers(0, 2**32 - 1))
def test_on_a_pixel_grid_it_is_the_iou_of_the_pixels(seed):
    """Where grid cells are pixels nothing is interpolated, and the target is exact."""
    rng = np.random.default_rng(seed)
    true = np.zeros((64, 64), bool)
    y, x = rng.integers(0, 50, 2)
    true[y : y + rng.integers(1, 40), x : x + rng.integers(1, 40)] = True
    true &= rng.random((64, 64)) > 0.2
    left, top = rng.integers(0, 36, 2)
    predicted = np.zeros((64, 64), bool)
    predicted[top : top + 28, left : left + 28] = rng.random((28, 28)) > 0.5

    windows = cut_windows(true[None])
    box, inds = torch.tensor([[left, top, left + 28, top + 28]]).float(), torch.tensor([0])
    truth = RoIGroundTruth(
        masks_on_grid(windows, box, inds, (28, 28)), *mask_coverage(windows, box, inds)
    )
    crop = torch.from_numpy(predicted[top : top + 28, left : left + 28]).float()
    target = mask_iou_target(crop[None], truth)
    if not true.any():
        assert not target.valid.item()
    elif true[top : top + 28, left : left + 28].any():
        expected = (predicted & true).sum() / (predicted | true).sum()
        assert target.iou.item() == pytest.approx(expected, abs=1e-5)
    else:
        assert target.iou.item() == 0
