import pytest
import torch
import torch.nn.functional as F

from .heads import small_variant


def transparent(**sizes):
    """A head that predicts what it sees."""
    seen = sizes['in_channels'] + 4
    head = small_variant('SubPixelMaskIoUHead', num_convs=0, num_fcs=0, num_classes=seen, **sizes)
    head.fc_mask_iou.weight.data = torch.eye(seen)
    head.fc_mask_iou.bias.data.zero_()
    return head


def test_the_quarters_of_a_cell_follow_its_feature():
    head = transparent(in_channels=2, roi_feat_size=1)
    probs = torch.tensor([[[0.1, 0.2], [0.3, 0.4]]])
    seen = head(torch.tensor([[[[3.0]], [[-2.0]]]]), probs)
    assert seen[0].tolist() == pytest.approx([3, -2, 0.1, 0.2, 0.3, 0.4])


def test_its_channels_are_those_of_torchs_pixel_unshuffle():
    probs = torch.rand(2, 28, 28)
    channels = small_variant('SubPixelMaskIoUHead')._input_mask(probs)
    assert channels.movedim(3, 1).equal(F.pixel_unshuffle(probs[:, None], 2))


def test_a_larger_mask_is_max_pooled_to_twice_the_feature():
    head = transparent(in_channels=0, roi_feat_size=1)
    probs = torch.rand(2, 56, 56)
    assert head(torch.zeros(2, 0, 1, 1), probs).equal(F.max_pool2d(probs, 28).flatten(1))


def test_of_a_mask_of_twice_the_feature_every_cell_is_seen():
    head, probs = small_variant('SubPixelMaskIoUHead'), torch.rand(1, 28, 28, requires_grad=True)
    head(torch.randn(1, 4, 14, 14), probs).sum().backward()
    assert probs.grad.ne(0).float().mean() > 0.9
    pooled, probs = small_variant('MSMaskIoUHead'), probs.detach().requires_grad_()
    pooled(torch.randn(1, 4, 14, 14), probs).sum().backward()
    assert probs.grad.ne(0).float().mean() <= 0.25


def test_its_convolutions_see_channels_last():
    head, layouts = small_variant('SubPixelMaskIoUHead'), []
    head.convs[0].register_forward_pre_hook(
        lambda _, inputs: layouts.append(inputs[0].is_contiguous(memory_format=torch.channels_last))
    )
    head(torch.randn(2, 4, 14, 14), torch.rand(2, 28, 28))
    assert layouts == [True]
