import pytest
from torch import nn

from msrcnn_plugin.hooks.mask_iou_heads import find_mask_iou_heads

from ..conftest import build_tiny_model
from .conftest import model_of, mse


def test_finds_the_head_of_a_detector():
    model = build_tiny_model()
    assert find_mask_iou_heads(model) == [model.roi_head.mask_iou_head]


def test_finds_one_head_a_stage_in_their_order():
    model = model_of(mse(), mse(), mse())
    assert find_mask_iou_heads(model) == list(model.roi_head.mask_iou_head)


def test_finds_the_heads_of_several_branches():
    model = nn.Module()
    model.left, model.right = model_of(mse()), model_of(mse(), mse())
    heads = [model.left.roi_head.mask_iou_head, *model.right.roi_head.mask_iou_head]
    assert find_mask_iou_heads(model) == heads


def test_looks_into_a_wrapped_model():
    model = model_of(mse())
    assert find_mask_iou_heads(nn.DataParallel(model)) == [model.roi_head.mask_iou_head]


def test_a_model_without_one_is_refused_by_name():
    model = build_tiny_model('StandardRoIHead')
    with pytest.raises(ValueError, match=r"MaskRCNN has no mask_iou_head.*type='MSRoIHead'"):
        find_mask_iou_heads(model)
