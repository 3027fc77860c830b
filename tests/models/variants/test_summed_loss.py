import pytest
import torch
from mmdet.registry import MODELS

BCE = dict(type='CrossEntropyLoss', use_sigmoid=True, avg_non_ignore=True)
RANKING = dict(type='PairwiseRankingLoss', loss_weight=0.3)


def summed(*losses):
    return MODELS.build(dict(type='SummedLoss', losses=list(losses)))


def test_is_the_sum():
    pred, target = torch.randn(5), torch.rand(5)
    given = dict(weight=torch.tensor([1.0, 0.0, 1.0, 1.0, 1.0]), avg_factor=torch.tensor(4.0))
    loss = summed(BCE, RANKING)
    parts = [MODELS.build(cfg)(pred, target, **given) for cfg in (BCE, RANKING)]
    torch.testing.assert_close(loss(pred, target, **given), sum(parts))
    assert loss.use_sigmoid
    assert not summed(dict(type='MSELoss'), dict(type='L1Loss')).use_sigmoid


def test_its_weight_is_there_to_warm_up():
    loss = summed(dict(type='MSELoss'), dict(type='L1Loss'))
    assert loss.loss_weight == 1
    loss.loss_weight = 0.5
    assert loss(torch.tensor([0.5]), torch.tensor([1.0])).item() == pytest.approx(0.375)


def test_of_no_sample():
    given = dict(weight=torch.zeros(0), avg_factor=torch.tensor(1.0))
    assert summed(BCE, RANKING)(torch.zeros(0), torch.zeros(0), **given) == 0


@pytest.mark.parametrize(
    ('losses', 'named'), [([], 'no loss'), ([BCE, dict(type='L1Loss')], 'CrossEntropyLoss, L1Loss')]
)
def test_refuses_losses_of_different_predictions(losses, named):
    with pytest.raises(ValueError, match=f'SummedLoss of {named}: give one or more'):
        summed(*losses)
