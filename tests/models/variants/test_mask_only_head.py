import torch

from .heads import small_variant


def test_the_roi_feature_is_not_seen():
    head = small_variant('MaskOnlyMaskIoUHead')
    probs = torch.rand(2, 28, 28)
    seen = [head(feats, probs) for feats in torch.randn(2, 2, 4, 14, 14)]
    assert torch.equal(*seen)
    assert not torch.equal(seen[0], head(torch.zeros(2, 4, 14, 14), 1 - probs))
