import torch

from .heads import small_variant


def test_a_feature_is_seen_where_the_mask_is():
    head = small_variant('MultipliedMaskIoUHead')
    feats, probs = torch.randn(1, 4, 14, 14), torch.zeros(1, 28, 28)
    probs[:, :, :14] = 1  # the left half
    other = feats.clone()
    other[..., 7:] = 9
    assert torch.equal(head(feats, probs), head(other, probs))
    other[..., 6] = 9
    assert not torch.equal(head(feats, probs), head(other, probs))


def test_the_input_is_the_product_with_the_pooled_mask():
    sizes = dict(in_channels=2, roi_feat_size=1, num_convs=0, num_fcs=0, num_classes=2)
    head = small_variant('MultipliedMaskIoUHead', **sizes)
    head.fc_mask_iou.weight.data = torch.eye(2)
    head.fc_mask_iou.bias.data.zero_()
    feats, probs = torch.tensor([3.0, -2.0]).reshape(1, 2, 1, 1), torch.tensor([[[0.1, 0.5]]])
    assert head(feats, probs).tolist() == [[1.5, -1.0]]
