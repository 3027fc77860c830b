import pytest
import torch
from mmdet.registry import MODELS

LOSS = dict(type='SigmoidMSELoss', loss_weight=0.5)


def test_is_half_the_squared_error_of_the_sigmoid():
    loss = MODELS.build(LOSS)
    assert loss.use_sigmoid
    logits, target = torch.tensor([0.0, 0.0]), torch.tensor([0.1, 0.8])
    assert loss(logits, target).item() == pytest.approx(0.5 * (0.4**2 + 0.3**2) / 2)


def test_counts_by_weight():
    loss = MODELS.build(LOSS)
    given = dict(weight=torch.tensor([0.0, 1.0]), avg_factor=torch.tensor(1.0))
    value = loss(torch.zeros(2), torch.tensor([0.1, 0.8]), **given)
    assert value.item() == pytest.approx(0.5 * 0.3**2)


def test_of_no_sample():
    loss = MODELS.build(LOSS)(
        torch.zeros(0), torch.zeros(0), weight=torch.zeros(0), avg_factor=torch.tensor(1.0)
    )
    assert loss == 0
