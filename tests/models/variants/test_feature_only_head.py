import torch

from .heads import small_variant


def test_the_mask_is_not_seen():
    head = small_variant('FeatureOnlyMaskIoUHead')
    feats = torch.randn(2, 4, 14, 14)
    seen = [head(feats, probs) for probs in torch.rand(2, 2, 28, 28)]
    assert torch.equal(*seen)
    assert not torch.equal(seen[0], head(-feats, torch.rand(2, 28, 28)))
