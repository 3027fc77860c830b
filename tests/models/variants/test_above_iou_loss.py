import pytest
import torch
from mmdet.registry import MODELS


def above(min_iou, **loss):
    loss = loss or dict(type='L1Loss')
    return MODELS.build(dict(type='AboveIoULoss', min_iou=min_iou, loss=loss))


PRED, TARGET = torch.tensor([0.5, 0.5, 0.5, 0.5]), torch.tensor([0.0, 0.3, 0.6, 0.9])


@pytest.mark.parametrize(
    ('min_iou', 'expected'),
    [(0, (0.2 + 0.1 + 0.4) / 3), (0.3, (0.1 + 0.4) / 2), (0.7, 0.4), (0.95, 0)],
)
def test_is_the_mean_over_what_lies_above(min_iou, expected):
    given = dict(weight=torch.ones(4), avg_factor=torch.tensor(4.0))
    assert above(min_iou)(PRED, TARGET, **given).item() == pytest.approx(expected)
    assert above(min_iou)(PRED, TARGET).item() == pytest.approx(expected)


def test_its_weight_is_there_to_warm_up():
    loss = above(0.7)
    assert loss.loss_weight == 1
    loss.loss_weight = 0.25
    assert loss(PRED, TARGET).item() == pytest.approx(0.1)


def test_what_did_not_count_does_not():
    weight = torch.tensor([1.0, 1.0, 1.0, 0.0])
    loss = above(0.3)(PRED, TARGET, weight=weight, avg_factor=torch.tensor(3.0))
    assert loss.item() == pytest.approx(0.1)


def test_of_no_sample():
    none = torch.zeros(0)
    assert above(0.3)(none, none, weight=none, avg_factor=torch.tensor(1.0)) == 0


def test_takes_what_its_loss_takes():
    assert above(0.5, type='CrossEntropyLoss', use_sigmoid=True).use_sigmoid
    assert not above(0.5).use_sigmoid


@pytest.mark.parametrize('min_iou', [-0.1, 1])
def test_refuses_what_is_no_iou(min_iou):
    with pytest.raises(ValueError, match='give an IoU in'):
        above(min_iou)
