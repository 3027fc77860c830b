import pytest
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS

from msrcnn_plugin.geometry import MaskIoUTarget, RoIGroundTruth
from projects.ablations.components.heads import SubPixelMaskIoUHead

SMALL = dict(num_convs=2, num_fcs=1, conv_out_channels=8, fc_out_channels=16)
SIZES = dict(in_channels=4, roi_feat_size=14, num_classes=3)
HEADS = [
    'DepthwiseMaskIoUHead',
    'FeatureOnlyMaskIoUHead',
    'LogitCutMaskIoUHead',
    'MaskOnlyMaskIoUHead',
    'MultipliedMaskIoUHead',
    'PooledMaskIoUHead',
    'SubPixelMaskIoUHead',
]
every_head = pytest.mark.parametrize('name', HEADS)


def small(name, **kwargs):
    head = MODELS.build(dict(type=name, **{**SMALL, **SIZES, **kwargs}))
    head.init_weights()
    return head


def transparent(name, seen, **sizes):
    """A head that predicts the numbers that it sees."""
    head = small(name, num_convs=0, num_fcs=0, num_classes=seen, roi_feat_size=1, **sizes)
    head.fc_mask_iou.weight.data = torch.eye(seen)
    head.fc_mask_iou.bias.data.zero_()
    return head


@every_head
@pytest.mark.parametrize('roi_feat_size', [14, (7, 14)])
@pytest.mark.parametrize('rois', [0, 3])
def test_any_size_and_number_of_rois(name, roi_feat_size, rois):
    head = small(name, roi_feat_size=roi_feat_size)
    given = torch.randn(rois, 4, *head.roi_feat_size), torch.rand(rois, 28, 28)
    mask_ious, labels = head(*given), torch.zeros(rois).long()
    assert mask_ious.shape == (rois, 3)
    assert ((head.predict(*given, labels) - 0.5).abs() <= 0.5).all()
    target = MaskIoUTarget(torch.rand(rois) + 0.1, torch.ones(rois).bool())
    head.loss(mask_ious, labels, target)['loss_mask_iou'].backward()
    assert all(param.grad is not None for param in head.parameters())
    assert next(head.convs[0].parameters()).grad.any() == (rois > 0)


FEATS, PROBS = (
    torch.tensor([3.0, -2.0]).reshape(1, 2, 1, 1),
    torch.tensor([[[0.1, 0.2], [0.3, 0.4]]]),
)


@pytest.mark.parametrize(
    ('name', 'seen'),
    [
        ('FeatureOnlyMaskIoUHead', [3, -2]),
        ('MaskOnlyMaskIoUHead', [0.4]),
        ('MultipliedMaskIoUHead', [1.2, -0.8]),
        ('SubPixelMaskIoUHead', [3, -2, 0.1, 0.2, 0.3, 0.4]),
    ],
)
def test_what_a_head_sees(name, seen):
    head = transparent(name, len(seen), in_channels=2)
    assert head(FEATS, PROBS)[0].tolist() == pytest.approx(seen)


@pytest.mark.parametrize('side', [28, 56])
def test_quarters_are_torchs_pixel_unshuffle_and_channels_last(side):
    head = small('SubPixelMaskIoUHead')
    assert isinstance(head, SubPixelMaskIoUHead)
    probs = torch.rand(2, side, side)
    expected = F.pixel_unshuffle(F.adaptive_max_pool2d(probs, 28)[:, None], 2)
    quarters = head.quarters(probs)
    assert quarters.equal(expected)
    assert quarters.is_contiguous(memory_format=torch.channels_last)


def test_pooled_the_first_layer_sees_the_mean_of_each_channel():
    assert small('PooledMaskIoUHead').fcs[0].in_features == 8
    sizes = dict(in_channels=1, num_convs=0, num_fcs=0, num_classes=2, roi_feat_size=2)
    head = small('PooledMaskIoUHead', **sizes)
    head.fc_mask_iou.weight.data, head.fc_mask_iou.bias.data = torch.eye(2), torch.zeros(2)
    feats = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]]]])
    probs = torch.tensor([[[0.0, 0.4], [0.8, 0.0]]])
    assert head(feats, probs)[0].tolist() == pytest.approx([3.0, 0.3])


class TestDepthwise:
    def test_is_the_head_with_kernels_that_are_products(self):
        depthwise, whole = (small(f'{n}MaskIoUHead', num_convs=1) for n in ('Depthwise', 'MS'))
        (layer,) = depthwise.convs
        within, across = layer.depthwise_conv.conv, layer.pointwise_conv.conv
        for conv in (within, across):
            conv.bias.data.zero_()
        weights = {k: v for k, v in depthwise.state_dict().items() if 'convs' not in k}
        weights['convs.0.weight'] = across.weight * within.weight.transpose(0, 1)
        weights['convs.0.bias'] = torch.zeros(8)
        whole.load_state_dict(weights)
        given = torch.randn(2, 4, 14, 14), torch.rand(2, 28, 28)
        torch.testing.assert_close(depthwise(*given), whole(*given))

    def test_a_feature_keeps_its_size_through_the_first_weights(self):
        head = small('DepthwiseMaskIoUHead', in_channels=63, num_convs=4, conv_out_channels=64)
        x = torch.randn(4, 64, 14, 14).relu()
        size = x.std()
        for conv in head.convs:
            x = F.relu(conv(x))
        assert 0.3 < x.std() / size < 3


def test_the_logit_cut_learns_the_iou_of_what_lies_above_probability_062():
    probs = torch.tensor([[[0.9, 0.63], [0.62, 0.1]]])
    grid = torch.tensor([[[1.0, 1.0], [1.0, 0.0]]])
    truth = RoIGroundTruth(grid, torch.ones(1), torch.ones(1).bool())
    # Of three cells of the object two are above the cut; all are above 0.5.
    cut = small('LogitCutMaskIoUHead').target(probs, truth)
    assert cut.iou.item() == pytest.approx(2 / 3)
    assert small('MSMaskIoUHead').target(probs, truth).iou.item() == 1


def test_for_all_classes_the_loss_is_the_mean_over_valid_pairs():
    head = small('AllClassesMaskIoUHead', count_zero_targets=True)
    predicted = torch.tensor([[0.9, 0.1, 0.0], [0.0, 0.5, 0.2]])
    iou = torch.tensor([[0.5, 0.0, 0.0], [0.0, 0.9, 0.4]])
    valid = torch.tensor([[True, True, False], [True, True, False]])
    loss = head.loss(predicted, torch.tensor([0, 1]), MaskIoUTarget(iou, valid))
    expected = 0.5 * (0.4**2 + 0.1**2 + 0 + 0.4**2) / 4
    assert loss['loss_mask_iou'].item() == pytest.approx(expected)


def test_for_all_classes_a_target_of_one_class_is_refused():
    head = small('AllClassesMaskIoUHead')
    target = MaskIoUTarget(torch.rand(2), torch.ones(2).bool())
    mask_ious = head(torch.randn(2, 4, 14, 14), torch.rand(2, 28, 28))
    with pytest.raises(ValueError, match='Give the RoI head mask_iou_sampler='):
        head.loss(mask_ious, torch.tensor([0, 1]), target)
