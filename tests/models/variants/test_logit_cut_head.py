import pytest
import torch

from msrcnn_plugin.geometry import RoIGroundTruth

from ..hosts import HOST_WARNINGS, batch_of, build, losses, tiny_host_cfg
from .heads import small_variant

pytestmark = HOST_WARNINGS


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


@pytest.mark.parametrize(('name', 'learns'), [('LogitCutMaskIoUHead', 0), ('MSMaskIoUHead', 1)])
def test_in_a_host_what_lies_between_the_cuts_is_no_mask(name, learns):
    cfg = tiny_host_cfg('ms_rcnn_r50_fpn')
    cfg.roi_head.mask_iou_head.type = name
    model = build(cfg)
    logits = model.roi_head.mask_head.conv_logits
    logits.weight.data.zero_()
    logits.bias.data.fill_(0.4)  # probability 0.6
    loss = losses(model, batch_of(3))['loss_mask_iou']
    assert (loss > 0) == learns
