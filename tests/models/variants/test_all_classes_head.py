import pytest
import torch

from msrcnn_plugin.geometry import MaskIoUTarget

from .heads import small_variant


def test_loss_is_the_mean_over_valid_pairs():
    head = small_variant('AllClassesMaskIoUHead', count_zero_targets=True)
    predicted = torch.tensor([[0.9, 0.1, 0.0], [0.0, 0.5, 0.2]])
    iou = torch.tensor([[0.5, 0.0, 0.0], [0.0, 0.9, 0.4]])
    valid = torch.tensor([[True, True, False], [True, True, False]])
    loss = head.loss(predicted, torch.tensor([0, 1]), MaskIoUTarget(iou, valid))
    expected = 0.5 * (0.4**2 + 0.1**2 + 0 + 0.4**2) / 4
    assert loss['loss_mask_iou'].item() == pytest.approx(expected)


def test_of_no_roi():
    head = small_variant('AllClassesMaskIoUHead')
    mask_ious = head(torch.zeros(0, 4, 14, 14), torch.zeros(0, 28, 28))
    target = MaskIoUTarget(torch.zeros(0, 3), torch.zeros(0, 3).bool())
    loss = head.loss(mask_ious, torch.zeros(0).long(), target)['loss_mask_iou']
    loss.backward()
    assert loss == 0
    assert all(param.grad is not None for param in head.parameters())


@pytest.mark.parametrize('class_agnostic', [False, True])
def test_a_target_of_other_classes_is_refused(class_agnostic):
    head = small_variant('AllClassesMaskIoUHead', class_agnostic=class_agnostic)
    shape = (2, 3) if class_agnostic else (2,)
    target = MaskIoUTarget(torch.rand(*shape), torch.ones(*shape).bool())
    mask_ious = head(torch.randn(2, 4, 14, 14), torch.rand(2, 28, 28))
    with pytest.raises(ValueError, match='Give the RoI head mask_iou_sampler='):
        head.loss(mask_ious, torch.tensor([0, 1]), target)
