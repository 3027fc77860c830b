import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as mask_utils

from msrcnn_plugin.geometry import image_mask_iou, mask_intersections, pairwise_mask_iou


def rectangle(x1, y1, x2, y2):
    mask = torch.zeros(8, 10, dtype=torch.bool)
    mask[y1:y2, x1:x2] = True
    return mask


def test_by_hand():
    masks = torch.stack([rectangle(0, 0, 4, 4), rectangle(8, 0, 10, 2), rectangle(0, 0, 0, 0)])
    others = torch.stack([rectangle(2, 0, 6, 4), rectangle(0, 0, 0, 0)])
    assert mask_intersections(masks, others).tolist() == [[8, 0], [0, 0], [0, 0]]
    expected = torch.tensor([[8 / 24, 0], [0, 0], [0, 0]])
    torch.testing.assert_close(pairwise_mask_iou(masks, others), expected)


@pytest.mark.parametrize('shape', [(0, 3), (3, 0), (0, 0)])
def test_of_nothing(shape):
    masks, others = (torch.ones(n, 4, 5, dtype=torch.bool) for n in shape)
    assert pairwise_mask_iou(masks, others).shape == shape


@given(st.integers(0, 2**31), st.integers(1, 200))
def test_equals_pycocotools_whatever_is_held_at_once(seed, pixels_at_once):
    rng = np.random.default_rng(seed)
    masks, others = (rng.random((n, 7, 9)) < share for n, share in ((4, 0.4), (3, 0.7)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image_mask_iou, 'PIXELS_AT_ONCE', pixels_at_once)
        iou = pairwise_mask_iou(torch.from_numpy(masks), torch.from_numpy(others))
    np.testing.assert_allclose(iou, mask_utils.iou(_rle(masks), _rle(others), [0] * 3), atol=1e-6)


def test_half_precision_does_not_round_the_counts():
    masks = torch.ones(1, 64, 65, dtype=torch.bool)  # 4160 pixels: bfloat16 knows 4160, not 4159
    others = masks.clone()
    others[0, 0, 0] = False
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert mask_intersections(masks, others).item() == 4159


def _rle(masks):
    return mask_utils.encode(np.asfortranarray(masks.transpose(1, 2, 0).astype(np.uint8)))
