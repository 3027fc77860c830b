"""A model that is nothing but its MaskIoU heads, and a runner that is nothing but a counter."""

from unittest.mock import Mock

import pytest
from mmdet.registry import MODELS
from torch import nn


class Head(nn.Module):
    def __init__(self, loss_iou):
        super().__init__()
        self.loss_iou = loss_iou


def mse(weight=0.5):
    return MODELS.build(dict(type='MSELoss', loss_weight=weight))


def model_of(*losses):
    """A model with a MaskIoU head for each loss: one, or one a stage as cascades have them."""
    heads = [Head(loss) for loss in losses]
    model = nn.Module()
    model.roi_head = nn.Module()
    model.roi_head.mask_iou_head = heads[0] if len(heads) == 1 else nn.ModuleList(heads)
    return model


def runner_of(model, epoch=0, iteration=0):
    return Mock(model=model, epoch=epoch, iter=iteration)


@pytest.fixture
def loss():
    return mse()


@pytest.fixture
def runner(loss):
    return runner_of(model_of(loss))
