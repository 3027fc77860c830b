"""What every variant of the MaskIoU head has to do as the head itself does, alone and in a host."""

import pytest
import torch

from msrcnn_plugin.geometry import MaskIoUTarget

from ..hosts import HOST_WARNINGS, batch_of, build, losses, predict, tiny_host_cfg
from .heads import small_variant

VARIANTS = [
    'DepthwiseMaskIoUHead',
    'FeatureOnlyMaskIoUHead',
    'LogitCutMaskIoUHead',
    'MaskOnlyMaskIoUHead',
    'MultipliedMaskIoUHead',
    'PooledMaskIoUHead',
    'SubPixelMaskIoUHead',
]
BCE = dict(type='CrossEntropyLoss', use_sigmoid=True, avg_non_ignore=True)
every_variant = pytest.mark.parametrize('name', VARIANTS)


@every_variant
@pytest.mark.parametrize('roi_feat_size', [14, 7, (7, 14)])
@pytest.mark.parametrize('rois', [0, 2])
def test_any_size_and_number_of_rois(name, roi_feat_size, rois):
    head = small_variant(name, roi_feat_size=roi_feat_size)
    given = torch.randn(rois, 4, *head.roi_feat_size), torch.rand(rois, 28, 28)
    assert head(*given).shape == (rois, 3)
    mask_ious = head.predict(*given, torch.zeros(rois).long())
    assert mask_ious.shape == (rois,)
    assert ((mask_ious >= 0) & (mask_ious <= 1)).all()


@every_variant
@pytest.mark.parametrize('rois', [0, 3])
def test_the_loss_reaches_every_parameter(name, rois):
    head = small_variant(name)
    mask_ious = head(torch.randn(rois, 4, 14, 14), torch.rand(rois, 28, 28))
    target = MaskIoUTarget(torch.rand(rois) + 0.1, torch.ones(rois).bool())
    head.loss(mask_ious, torch.zeros(rois).long(), target)['loss_mask_iou'].backward()
    assert all(param.grad is not None for param in head.parameters())
    first = next(head.convs[0].parameters())
    assert first.grad.any() == (rois > 0)


@every_variant
@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_under_autocast_it_predicts_floats_near_those_of_full_precision(name, dtype):
    head = small_variant(name)
    feats, probs = torch.randn(2, 4, 14, 14), torch.rand(2, 28, 28)
    with torch.autocast('cpu', dtype):
        half = head(feats.to(dtype), probs.to(dtype))
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, head(feats, probs), atol=0.02, rtol=0.02)


@every_variant
def test_weights_say_what_they_predict(name):
    iou, logit = small_variant(name), small_variant(name, loss_iou=BCE)
    other = small_variant(name, loss_iou=BCE)
    other.load_state_dict(logit.state_dict())
    given = torch.randn(2, 4, 14, 14), torch.rand(2, 28, 28)
    assert torch.equal(other(*given), logit(*given))
    with pytest.raises(ValueError, match='predict the logit of the IoU, but'):
        iou.load_state_dict(logit.state_dict())


HOSTS = ['ms_rcnn_r50_fpn', 'cascade_ms_rcnn_r50_fpn', 'point_rend_ms_rcnn_r50_fpn']


class TestInHosts:
    """One of one stage, one of several, one with masks of another size."""

    pytestmark = HOST_WARNINGS

    @every_variant
    @pytest.mark.parametrize('host', HOSTS)
    def test_learns_and_scores(self, name, host):
        cfg = tiny_host_cfg(host)
        # Counted, for masks without training miss their objects.
        cfg.roi_head.mask_iou_head.update(type=name, count_zero_targets=True)
        model, batch = build(cfg), batch_of(3, 0)
        # A cascade has one for each stage.
        loss = sum(value for key, value in losses(model, batch).items() if 'mask_iou' in key)
        loss.backward()
        assert loss > 0
        assert all(param.grad is not None for param in model.roi_head.mask_iou_head.parameters())
        first, _ = predict(model, batch)
        assert len(first.mask_ious) == len(first) > 0
        assert first.mask_ious.std() > 0
