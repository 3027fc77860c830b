"""A converted checkpoint of the authors' gives what their network gives, evaluated by hand."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.registry import MODELS
from mmengine.config import Config

from msrcnn_plugin.checkpoints import CheckpointError, convert, model_target
from msrcnn_plugin.checkpoints.files import Checkpoint

from . import authors_model as theirs

CONFIG = Path(__file__).resolve().parents[2] / 'configs' / 'authors' / 'ms_rcnn_r50_caffe_fpn.py'


def narrow_config(classes):
    """The config for the authors' checkpoints with the sizes of `authors_model`."""
    cfg = Config.fromfile(CONFIG)
    model, head = cfg.model, cfg.model.roi_head
    model.backbone.update(base_channels=theirs.WIDTH, stem_channels=theirs.WIDTH, init_cfg=None)
    model.neck.update(
        in_channels=[4 * theirs.WIDTH * 2**i for i in range(4)], out_channels=theirs.FPN
    )
    model.rpn_head.update(in_channels=theirs.FPN, feat_channels=theirs.FPN)
    head.bbox_roi_extractor.out_channels = head.mask_roi_extractor.out_channels = theirs.FPN
    head.bbox_head.update(in_channels=theirs.FPN, fc_out_channels=theirs.FC, num_classes=classes)
    head.mask_head.update(in_channels=theirs.FPN, conv_out_channels=theirs.FPN, num_classes=classes)
    head.mask_iou_head.update(conv_out_channels=theirs.FPN, fc_out_channels=theirs.FC)
    return cfg


def converted_model(weights, classes):
    cfg = narrow_config(classes)
    conversion = convert(Checkpoint(weights), model_target(cfg))
    model = MODELS.build(cfg.model).eval()
    model.load_state_dict(conversion.weights, strict=True)
    return model


@pytest.fixture(scope='module')
def pair():
    torch.manual_seed(1)
    weights = theirs.make_weights(classes=3)
    return theirs.AuthorsModel(weights), converted_model(weights, classes=3)


@torch.no_grad()
def test_features_and_proposals_of_an_image(pair):
    by_hand, model = pair
    image = 50 * torch.randn(1, 3, 128, 192)
    expected = by_hand.pyramid(image)
    features = model.extract_feat(image)
    assert len(features) == len(expected) == 5
    for found, level in zip(features, expected):
        torch.testing.assert_close(found, level, rtol=1e-4, atol=1e-4 * float(level.abs().max()))
    for found, level in zip(zip(*model.rpn_head(features)), features):
        for ours, by_their_names in zip(found, by_hand.rpn(level)):
            torch.testing.assert_close(ours, by_their_names)


def exclusive(boxes):
    """[x1, x2] that include the last pixel as [x1, x2 + 1]."""
    return boxes + torch.tensor([0.0, 0.0, 1.0, 1.0])


def test_anchors(pair):
    _, model = pair
    generator = model.rpn_head.prior_generator
    levels = list(zip(theirs.STRIDES, theirs.SIZES, generator.base_anchors))
    assert len(levels) == 5
    for stride, size, anchors in levels:
        torch.testing.assert_close(anchors, exclusive(theirs.cell_anchors(stride, size)))
    # Detectron's own table for stride 16 begins with this one at size 128, in Matlab's numbers.
    matlab = torch.tensor([-83.0, -39.0, 100.0, 56.0])
    torch.testing.assert_close(theirs.cell_anchors(16, 128)[0], matlab - 1)


def test_box_deltas_mean_the_same_boxes(pair):
    _, model = pair
    boxes = theirs.cell_anchors(8, 64) + 100
    deltas = torch.randn(3, 4)
    coders = (
        (model.rpn_head.bbox_coder, (1.0, 1.0, 1.0, 1.0)),
        (model.roi_head.bbox_head.bbox_coder, (10.0, 10.0, 5.0, 5.0)),
    )
    for coder, weights in coders:
        ours = coder.decode(exclusive(boxes), deltas)
        torch.testing.assert_close(ours, exclusive(theirs.decode(deltas, boxes, weights)))


@settings(max_examples=8)
@given(seed=st.integers(0, 2**31), classes=st.integers(1, 5))
@torch.no_grad()
def test_heads_on_any_roi_feature(seed, classes):
    torch.manual_seed(seed)
    weights = theirs.make_weights(classes)
    by_hand, head = theirs.AuthorsModel(weights), converted_model(weights, classes).roi_head
    box_feats, mask_feats = torch.randn(4, theirs.FPN, 7, 7), torch.randn(4, theirs.FPN, 14, 14)

    scores, deltas = head.bbox_head(box_feats)
    their_logits, their_deltas = by_hand.box(box_feats)
    their_scores = their_logits.softmax(1)
    torch.testing.assert_close(scores.softmax(1)[:, :-1], their_scores[:, 1:])
    torch.testing.assert_close(scores.softmax(1)[:, -1], their_scores[:, 0])
    torch.testing.assert_close(deltas, their_deltas[:, 1:].flatten(1))

    labels = torch.randint(classes, (4,))
    logits, their_masks = head.mask_head(mask_feats), by_hand.mask(mask_feats)
    torch.testing.assert_close(logits, their_masks[:, 1:])
    probs = their_masks[range(4), labels + 1].sigmoid()
    their_ious = by_hand.mask_iou(mask_feats, probs)[range(4), labels + 1]
    ious = head.mask_iou_head.predict(mask_feats, probs, labels)
    torch.testing.assert_close(ious, their_ious.clamp(0, 1))


def test_every_parameter_has_its_place_but_the_anchors(pair):
    by_hand, _ = pair
    target = model_target(narrow_config(3))
    conversion = convert(Checkpoint(by_hand.weights), target)
    assert set(conversion.weights) == set(target.shapes)
    assert (conversion.count('mapped'), conversion.count('new')) == (0, 0)
    dropped = {entry.source for entry in conversion.entries if entry.action == 'dropped'}
    assert dropped == {f'rpn.anchor_generator.cell_anchors.{level}' for level in range(5)}


def test_without_a_config_the_default_head_is_what_it_has_to_fit(pair):
    by_hand, _ = pair
    with pytest.raises(CheckpointError, match='give the config of the model'):
        convert(Checkpoint(by_hand.weights))


def test_another_number_of_classes_is_refused(pair):
    by_hand, _ = pair
    with pytest.raises(CheckpointError, match=r'fc_cls\.weight: \(4, 16\), the model has \(6, 16'):
        convert(Checkpoint(by_hand.weights), model_target(narrow_config(5)))


def test_what_has_no_counterpart_is_named(pair):
    by_hand, _ = pair
    deformable = {'backbone.body.layer3.0.conv2.conv_offset.weight': torch.zeros(1)}
    with pytest.raises(
        CheckpointError, match=r'layer3\.0\.conv2\.conv_offset\.weight .*no counter'
    ):
        convert(Checkpoint({**by_hand.weights, **deformable}))


def test_a_class_layer_of_another_height_is_refused(pair):
    by_hand, _ = pair
    name = 'roi_heads.maskiou.predictor.maskiou.weight'
    with pytest.raises(CheckpointError, match='has 3 rows; expected 4'):
        convert(Checkpoint({**by_hand.weights, name: torch.zeros(3, theirs.FC)}))
