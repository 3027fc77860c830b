import copy

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures.mask import PolygonMasks

from msrcnn_plugin.models import mask_forward

from ..conftest import build_tiny_model, data_sample, disc, instances, tiny_model_cfg
from .hosts import build, tiny_host_cfg


def pair_of_models(**roi_head):
    """A tiny MS R-CNN and a stock Mask R-CNN with its weights."""
    scoring, stock = build_tiny_model(**roi_head), build_tiny_model('StandardRoIHead', **roi_head)
    stock.load_state_dict(scoring.state_dict(), strict=False)
    return scoring.eval(), stock.eval()


def losses(model, batch, seed=3):
    torch.manual_seed(seed)
    images, samples = copy.deepcopy(batch)
    parsed = model.train().loss(images, samples)
    return {name: sum(v) if isinstance(v, list) else v for name, v in parsed.items()}


@torch.no_grad()
def predict(model, batch):
    images, samples = copy.deepcopy(batch)
    return [sample.pred_instances for sample in model.eval().predict(images, samples)]


@pytest.fixture
def model():
    return build_tiny_model()


def test_rescore_boxes_writes_them_to_scores_as_well(batch):
    model = build_tiny_model()
    plain = predict(model, batch)
    model.roi_head.rescore_boxes = True
    for rescored, results in zip(predict(model, batch), plain):
        assert torch.equal(rescored.scores, results.mask_scores)
        assert torch.equal(rescored.mask_scores, results.mask_scores)
        assert torch.equal(rescored.bboxes, results.bboxes)


def test_gradient_reaches_the_mask_iou_head_and_what_is_below(model, batch):
    losses(model, batch)['loss_mask_iou'].backward()
    touched = {name.split('.')[0] for name, p in model.named_parameters() if p.grad is not None}
    assert touched == {'backbone', 'neck', 'roi_head'}
    assert all(p.grad is not None for p in model.roi_head.mask_iou_head.parameters())


def test_objects_without_area_or_outside_the_image_train():
    masks = np.stack([disc(96, 128, 40, 40, 20), np.zeros((96, 128), np.uint8)] * 2)
    gts = instances(masks, labels=[0, 1, 2, 0])
    # Clipped to the border by an augmentation, as mmdet #11527: x1 = x2 = W.
    gts.bboxes[1] = torch.tensor([128.0, 20, 128, 60])
    gts.bboxes[3] = torch.tensor([140.0, 100, 150, 120])
    batch = torch.randn(1, 3, 96, 128), [data_sample(gts)]
    scoring, stock = pair_of_models()
    ours, theirs = losses(scoring, batch), losses(stock, batch)
    assert 0 < ours['loss_mask_iou'] < 1
    # The host's own box loss of such an object is not finite; that is not ours to change.
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, atol=1e-6, rtol=0, equal_nan=True)


@pytest.mark.parametrize('training', [True, False])
def test_nothing_is_computed_twice(model, batch, training):
    calls = []
    watched = ('mask_roi_extractor', 'mask_head', 'mask_iou_head')
    for name in watched:
        module = getattr(model.roi_head, name)
        module.register_forward_hook(lambda *_, name=name: calls.append(name))
    (losses if training else predict)(model, batch)
    assert calls == list(watched)


def test_masks_are_read_once_a_step(model, batch, monkeypatch):
    from msrcnn_plugin.models import ground_truth_masks

    calls = []
    for name in ('cut_windows', 'masks_on_grid', 'mask_coverage'):
        function = getattr(ground_truth_masks, name)

        def counted(*args, name=name, function=function):
            calls.append(name)
            return function(*args)

        monkeypatch.setattr(ground_truth_masks, name, counted)
    images, samples = batch
    losses(model, (images, [samples[0], copy.deepcopy(samples[0])]))
    assert sorted(calls) == ['cut_windows'] * 2 + ['mask_coverage'] * 2 + ['masks_on_grid'] * 2


def test_observing_the_mask_head_leaves_nothing_behind(model, batch):
    predict(model, batch)
    losses(model, batch)
    assert not model.roi_head.mask_head._forward_hooks
    with pytest.raises(RuntimeError), mask_forward.observe_mask_head(model.roi_head.mask_head):
        raise RuntimeError
    assert not model.roi_head.mask_head._forward_hooks


def test_polygons_train_as_in_the_host(batch):
    scoring, stock = pair_of_models()
    images, samples = batch
    square = [np.array([20.0, 20, 60, 20, 60, 60, 20, 60])]
    two_parts = [
        np.array([70.0, 10, 90, 10, 80, 40]),
        np.array([95.0, 10, 125, 12, 120, 60, 100, 50]),
    ]
    gts = instances([disc(96, 128, 40, 40, 20), disc(96, 128, 90, 40, 20)])
    gts.masks = PolygonMasks([square, two_parts], 96, 128)
    gts.bboxes = torch.tensor([[20.0, 20, 60, 60], [70, 10, 125, 60]])
    samples = [data_sample(gts), samples[1]]
    ours, theirs = losses(scoring, (images, samples)), losses(stock, (images, samples))
    assert ours['loss_mask_iou'] > 0
    torch.testing.assert_close(ours['loss_mask'], theirs['loss_mask'], atol=1e-6, rtol=0)


def test_masks_as_they_are_decoded_from_rle_train_as_in_the_host(batch):
    """Column by column in memory, which a pipeline without a resize leaves them."""
    scoring, stock = pair_of_models()
    images, samples = batch
    masks = samples[0].gt_instances.masks
    masks.masks = np.asfortranarray(masks.masks)
    ours, theirs = losses(scoring, (images, samples)), losses(stock, (images, samples))
    assert ours['loss_mask_iou'] > 0
    torch.testing.assert_close(ours['loss_mask'], theirs['loss_mask'], atol=1e-6, rtol=0)


def test_other_masks_are_refused_with_what_to_do(model, batch):
    images, samples = copy.deepcopy(batch)
    samples[0].gt_instances.masks = torch.zeros(3, 96, 128)
    with pytest.raises(
        TypeError, match=r'masks are Tensor; BitmapMasks or PolygonMasks.*with_mask'
    ):
        model.train().loss(images, samples)


VARIANTS = {
    'class-agnostic masks': dict(mask_head=dict(class_agnostic=True)),
    'one class': dict(bbox_head=dict(num_classes=1), mask_head=dict(num_classes=1)),
    'shared RoI extractor': dict(
        mask_roi_extractor=None, mask_head=dict(upsample_cfg=dict(type='deconv', scale_factor=4))
    ),
    '56 px masks': dict(mask_head=dict(upsample_cfg=dict(type='bilinear', scale_factor=4))),
    'odd RoI feature': dict(mask_roi_extractor=dict(roi_layer=dict(output_size=7))),
}


@pytest.mark.parametrize('variant', VARIANTS)
@pytest.mark.filterwarnings('ignore:indexing with dtype torch.uint8')  # mmdet's shared extractor
def test_variants_of_the_host(variant, batch):
    changes = VARIANTS[variant]
    cfg = tiny_model_cfg(**changes)
    side = 14 if changes.get('mask_roi_extractor', True) is True else 7
    scale = cfg.roi_head.mask_head.get('upsample_cfg', {}).get('scale_factor', 2)
    cfg.train_cfg.rcnn.mask_size = side * scale
    model = MODELS.build(cfg)
    model.init_weights()
    images, samples = batch
    if variant == 'one class':
        samples[0].gt_instances.labels.zero_()
    assert losses(model, (images, samples))['loss_mask_iou'] > 0
    for results in predict(model, batch):
        assert results.mask_ious.shape == results.scores.shape
    assert model.roi_head.mask_iou_head.roi_feat_size == (side, side)


def test_c4_the_shared_head_is_seen_through():
    model = build(tiny_host_cfg('ms_rcnn_r50_c4'))
    head = model.roi_head.mask_iou_head
    assert head.roi_feat_size == (7, 7)
    assert head.convs[0].in_channels == 128 + 1
    assert model.roi_head.shared_head.training


def test_tensor_mode_scores_the_first_hundred_rois_of_each_image(model, batch):
    images, samples = batch
    model.test_cfg.rpn.max_per_img = model.rpn_head.test_cfg.max_per_img = 200
    model.rpn_head.test_cfg.nms.iou_threshold = 0.99
    with torch.no_grad():
        outputs = model.eval()(images, samples, mode='tensor')[-1]
    cls_score, bbox_pred, mask_logits, mask_ious = outputs
    assert len(cls_score) == len(bbox_pred) > 200
    assert len(mask_logits) == len(mask_ious) == 200
    assert mask_ious.shape[1] == 3


def test_tensor_mode_of_a_batch_is_that_of_its_images(model, batch):
    images, samples = batch
    with torch.no_grad():
        together = model.eval()(images, samples, mode='tensor')[-1]
        alone = [model(images[i : i + 1], samples[i : i + 1], mode='tensor')[-1] for i in (0, 1)]
    for i, output in enumerate(together):
        torch.testing.assert_close(output, torch.cat([image[i] for image in alone]))


def test_a_copy_is_a_model_of_its_own(model, batch):
    clone = copy.deepcopy(model)
    with torch.no_grad():
        clone.roi_head.mask_iou_head.fc_mask_iou.bias.fill_(1)
    assert not torch.equal(predict(clone, batch)[0].mask_ious, predict(model, batch)[0].mask_ious)


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        (dict(num_classes=80), 'num_classes=80 was given, the model it belongs to has 3'),
        (dict(in_channels=256), 'in_channels=256 was given, .* has 16'),
        (dict(roi_feat_size=7), r'roi_feat_size=7 was given, .* has \(14, 14\)'),
    ],
)
def test_sizes_that_disagree_with_the_host_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        build_tiny_model(mask_iou_head=given)


@pytest.mark.parametrize('size', [14, (14, 14), [14, 14]])
def test_sizes_that_agree_with_the_host_may_be_given(size):
    given = dict(num_classes=3, in_channels=16, roi_feat_size=size)
    assert build_tiny_model(mask_iou_head=given).roi_head.mask_iou_head.num_classes == 3


def test_a_host_without_a_mask_branch_is_refused():
    cfg = tiny_model_cfg()
    cfg.roi_head.mask_head = None
    with pytest.raises(
        ValueError, match='MSRoIHead scores masks, but the model has no mask branch'
    ):
        MODELS.build(cfg)


def test_a_head_for_each_stage_is_refused_where_there_are_none():
    cfg = tiny_model_cfg()
    cfg.roi_head.mask_iou_head = [cfg.roi_head.mask_iou_head] * 3
    with pytest.raises(TypeError, match='is a list; MSRoIHead takes one config'):
        MODELS.build(cfg)
