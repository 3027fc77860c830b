"""Mask R-CNN's other mask heads by hand, and in training steps with and without a mask score."""

import math

import pytest
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmengine.runner import Runner

import projects.ablations.components  # noqa: F401  (registers them)

from ...conftest import tiny_model_cfg
from ...models.hosts import HOST_WARNINGS, batch_of, build, losses, predict, tiny_host_cfg
from ...tiny_set import run_config, write_tiny_set

HEADS = {
    'softmax': dict(type='SoftmaxMaskHead'),
    'fc': dict(type='FCMaskHead', fc_out_channels=16),
    'fc_class_agnostic': dict(type='FCMaskHead', fc_out_channels=16, class_agnostic=True),
}


pytestmark = HOST_WARNINGS


def transparent(classes):
    """A softmax head that gives its input to the softmax."""
    cfg = dict(type='SoftmaxMaskHead', num_convs=0, upsample_cfg=dict(type=None))
    head = MODELS.build(dict(cfg, num_classes=classes, in_channels=classes + 1))
    head.conv_logits.weight.data = torch.eye(classes + 1)[..., None, None]
    head.conv_logits.bias.data.zero_()
    return head


# Probabilities 1/8, 2/8 and, for background, 5/8.
GIVEN = torch.tensor([1.0, 2.0, 5.0]).log().reshape(1, 3, 1, 1)


def test_the_sigmoid_of_the_output_is_the_softmax():
    head = transparent(2)
    assert head.num_classes == 2
    assert head(GIVEN).sigmoid().flatten().tolist() == pytest.approx([1 / 8, 2 / 8, 5 / 8])
    assert head(GIVEN[:0]).shape == (0, 3, 1, 1)


def test_the_loss_is_the_mean_over_the_pixels_of_the_true_class():
    head, two_pixels = transparent(2), GIVEN.expand(1, 3, 1, 2)
    found = head.loss_mask(head(two_pixels), torch.tensor([[[1.0, 0.0]]]), torch.tensor([1]))
    assert found.item() == pytest.approx(-(math.log(2 / 8) + math.log(5 / 8)) / 2)


def test_with_one_class_it_is_the_sigmoid_of_a_difference():
    given = torch.randn(3, 2, 4, 4)
    found = transparent(1)(given)[:, 0]
    torch.testing.assert_close(found, given[:, 0] - given[:, 1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('scale', [1, 10, 300])
def test_loss_and_gradient_are_those_of_torch(scale):
    head = transparent(3)
    given = (scale * torch.randn(2, 4, 5, 5)).requires_grad_()
    target, labels = torch.randint(0, 2, (2, 5, 5)), torch.tensor([0, 2])
    loss = head.loss_mask(head(given), target.float(), labels)
    classes = torch.where(target > 0, labels[:, None, None], 3)
    expected = F.cross_entropy(given, classes)
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-4)
    (found,), (gradient,) = (torch.autograd.grad(of, given) for of in (loss, expected))
    torch.testing.assert_close(found, gradient, rtol=1e-3, atol=1e-5)


def test_a_softmax_over_no_classes_is_refused():
    with pytest.raises(ValueError, match=r'use FCNMaskHead\(class_agnostic=True\)'):
        MODELS.build(dict(type='SoftmaxMaskHead', class_agnostic=True))


def test_each_cell_of_a_fully_connected_mask_sees_the_whole_feature():
    sizes = dict(in_channels=1, roi_feat_size=2, mask_size=3, num_fcs=0)
    head = MODELS.build(dict(type='FCMaskHead', num_classes=2, **sizes))
    linear = head.conv_logits[1]
    linear.weight.data = torch.arange(18.0)[:, None].repeat(1, 4)
    linear.bias.data.zero_()
    found = head(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))
    assert found.flatten().tolist() == [10.0 * cell for cell in range(18)]
    assert found.shape == (1, 2, 3, 3)
    assert head(torch.zeros(0, 1, 2, 2)).shape == (0, 2, 3, 3)


def test_the_paper_has_two_hidden_layers_of_1024():
    head = MODELS.build(dict(type='FCMaskHead', num_classes=80, in_channels=8))
    sizes = [tuple(layer.weight.shape) for layer in head.conv_logits if hasattr(layer, 'weight')]
    assert sizes == [(1024, 8 * 14 * 14), (1024, 1024), (80 * 28 * 28, 1024)]


def test_roi_pool_takes_the_largest_value_of_whole_cells():
    layer = dict(type='RoIAlign', output_size=2, sampling_ratio=0)
    cfg = dict(type='RoIPoolExtractor', roi_layer=layer, out_channels=1, featmap_strides=[4])
    extractor, feature = MODELS.build(cfg), torch.arange(16.0).reshape(1, 1, 4, 4)
    # Corners at cells 0.4 and 3.4 are rounded to 0 and 3.
    found = extractor([feature], torch.tensor([[0, 1.6, 1.6, 13.6, 13.6]]))
    assert found[0, 0].tolist() == [[5, 7], [13, 15]]
    assert extractor([feature], torch.zeros(0, 5)).shape == (0, 1, 2, 2)


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return write_tiny_set(tmp_path_factory.mktemp('data') / 'set')


@pytest.mark.parametrize('roi_head', ['StandardRoIHead', 'MSRoIHead'])
@pytest.mark.parametrize('name', HEADS)
def test_trains_and_tests_through_the_runner(data, tmp_path, name, roi_head):
    cfg = run_config(data, tmp_path, model=tiny_model_cfg(roi_head, mask_head=HEADS[name]))
    cfg.experiment_name = f'{name}_{roi_head}'
    runner = Runner.from_cfg(cfg)
    before = {key: value.clone() for key, value in runner.model.named_parameters()}
    runner.train()
    scalars = runner.message_hub.log_scalars
    assert ('train/loss_mask_iou' in scalars) == (roi_head == 'MSRoIHead')
    for key in ('train/loss_mask', 'train/loss'):
        assert all(math.isfinite(value) for value in scalars[key].data[0])
    assert scalars['train/loss_mask'].data[0][0] > 0
    for key, value in runner.model.named_parameters():
        if 'mask_head' in key:
            assert not torch.equal(value, before[key]), key
    assert 'coco/segm_mAP' in runner.test()


@pytest.mark.parametrize('name', HEADS)
def test_c4_learns_and_scores_what_it_predicts(name):
    cfg = tiny_host_cfg('ms_rcnn_r50_c4')
    size = dict(roi_feat_size=7, mask_size=14) if 'fc' in name else {}
    cfg.roi_head.mask_head.update(HEADS[name], **size)
    model, batch = build(cfg), batch_of(3, 0)
    found = losses(model, batch)
    assert found['loss_mask'] > 0
    assert found['loss_mask_iou'] >= 0
    for results in predict(model, batch):
        assert len(results.mask_ious) == len(results.masks) == len(results)
        assert ((results.mask_ious >= 0) & (results.mask_ious <= 1)).all()
