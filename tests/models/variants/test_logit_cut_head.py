import pytest
import torch

from msrcnn_plugin.geometry import RoIGroundTruth

from .heads import small_variant


def test_learns_the_iou_of_what_lies_above_probability_062():
    probs = torch.tensor([[[0.9, 0.63], [0.62, 0.1]]])
    truth = RoIGroundTruth(
        torch.tensor([[[1.0, 1.0], [1.0, 0.0]]]), torch.ones(1), torch.ones(1).bool()
    )
    # Of three cells of the object two are above the cut; all are above 0.5.
    cut = small_variant('LogitCutMaskIoUHead').target(probs, truth)
    assert cut.iou.item() == pytest.approx(2 / 3)
    assert cut.valid.all()
    assert small_variant('MSMaskIoUHead').target(probs, truth).iou.item() == 1


def test_of_no_positive():
    none = RoIGroundTruth(torch.zeros(0, 2, 2), torch.zeros(0), torch.zeros(0).bool())
    target = small_variant('LogitCutMaskIoUHead').target(torch.zeros(0, 2, 2), none)
    assert target.iou.shape == target.valid.shape == (0,)
