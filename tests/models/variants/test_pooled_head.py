import pytest
import torch

from .heads import small_variant


def test_the_first_layer_sees_the_mean_of_each_channel():
    head = small_variant('PooledMaskIoUHead')
    assert head.fcs[0].in_features == 8
    assert small_variant('MSMaskIoUHead').fcs[0].in_features == 8 * 7 * 7


def test_without_layers_it_is_the_mean_of_the_input():
    sizes = dict(in_channels=1, roi_feat_size=2, num_convs=0, num_fcs=0, num_classes=2)
    head = small_variant('PooledMaskIoUHead', **sizes)
    head.fc_mask_iou.weight.data = torch.eye(2)
    head.fc_mask_iou.bias.data.zero_()
    feats = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]]]])
    probs = torch.tensor([[[0.0, 0.4], [0.8, 0.0]]])
    assert head(feats, probs)[0].tolist() == pytest.approx([3.0, 0.3])
