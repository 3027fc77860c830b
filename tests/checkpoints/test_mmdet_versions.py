"""Checkpoints of mmdet 2.x and 3.x, written from a model of today."""

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope

from msrcnn_plugin.checkpoints import CheckpointError, Target, convert
from msrcnn_plugin.checkpoints.files import Checkpoint

from ..conftest import build_tiny_model, tiny_model_cfg

HEAD = 'roi_head.mask_iou_head.'


@pytest.fixture(scope='module')
def weights():
    init_default_scope('mmdet')
    return build_tiny_model().state_dict()


@pytest.fixture(scope='module')
def target(weights):
    return Target({name: value.shape for name, value in weights.items()}, whole=True)


def plain(weights):
    """Those of the Mask R-CNN."""
    return {name: value for name, value in weights.items() if not name.startswith(HEAD)}


def equal(first, second):
    return set(first) == set(second) and all(torch.equal(first[n], second[n]) for n in first)


def test_an_ms_rcnn_is_what_it_was(weights, target):
    conversion = convert(Checkpoint(weights), target)
    assert equal(conversion.weights, weights)
    assert conversion.count('mapped') == len(conversion.entries) == len(weights)


def test_of_a_mask_rcnn_the_mask_iou_head_is_new(weights, target):
    conversion = convert(Checkpoint(plain(weights)), target)
    assert equal(conversion.weights, plain(weights))
    new = {entry.target for entry in conversion.entries if entry.action == 'new'}
    assert new == set(weights) - set(plain(weights))
    rows = [row for row in conversion.rows() if row[0] == 'new']
    assert ('new', '', f'{HEAD}convs.*', 'initialised by the training', 4) in rows


def test_without_a_config_the_default_head_of_the_models_size_is_new(weights):
    conversion = convert(Checkpoint(plain(weights)))
    names = {entry.target for entry in conversion.entries if entry.action == 'new'}
    assert len(names) == 2 * (4 + 2 + 1)
    assert all(name.startswith(HEAD) for name in names)
    assert equal(conversion.weights, plain(weights))


def of_a_cascade(weights):
    return {name.replace(HEAD, f'{HEAD}0.'): value for name, value in weights.items()}


def of_more_convs(weights):
    return {**weights, f'{HEAD}convs.4.weight': torch.zeros(16, 16, 3, 3)}


@pytest.mark.parametrize('head', [dict, of_a_cascade, of_more_convs])
def test_without_a_config_another_head_than_the_default_is_refused(weights, head):
    # The tiny model's own has two convolutions.
    with pytest.raises(CheckpointError, match=r'not the default.*config of the model \(--config\)'):
        convert(Checkpoint(head(weights)))


def test_without_a_config_a_default_head_is_kept():
    cfg = tiny_model_cfg()
    cfg.roi_head.mask_iou_head = dict(type='MSMaskIoUHead')
    weights = MODELS.build(cfg).state_dict()
    conversion = convert(Checkpoint(weights))
    assert equal(conversion.weights, weights)
    assert conversion.count('mapped') == len(weights)


BESIDE = {
    f'{HEAD}predicts_iou_logits': torch.tensor(1),
    'roi_head.mask_iou_calibration.knots': torch.tensor([0.0, 1.0]),
    'roi_head.mask_iou_calibration.values': torch.tensor([0.0, 0.5]),
}


def test_what_a_head_predicts_and_its_calibration_go_with_its_weights(weights, target):
    conversion = convert(Checkpoint({**weights, **BESIDE}), target)
    assert equal(conversion.weights, {**weights, **BESIDE})
    without = Target({name: value.shape for name, value in plain(weights).items()}, whole=True)
    assert equal(convert(Checkpoint({**weights, **BESIDE}), without).weights, plain(weights))


def test_without_a_config_a_default_head_of_logits_is_kept():
    cfg = tiny_model_cfg()
    loss = dict(type='CrossEntropyLoss', use_sigmoid=True, avg_non_ignore=True)
    cfg.roi_head.mask_iou_head = dict(type='MSMaskIoUHead', loss_iou=loss)
    weights = MODELS.build(cfg).state_dict()
    assert equal(convert(Checkpoint(weights)).weights, weights)


def test_the_copy_of_the_ema_hook_is_dropped(weights, target):
    copies = {'ema_' + name.replace('.', '_'): -value for name, value in weights.items()}
    conversion = convert(Checkpoint({**copies, **weights}), target)
    assert equal(conversion.weights, weights)
    assert conversion.count('dropped') == len(copies)


def test_what_the_model_does_not_have_is_dropped_once(weights):
    target = Target({name: value.shape for name, value in plain(weights).items()}, whole=True)
    conversion = convert(Checkpoint(weights), target)
    assert equal(conversion.weights, plain(weights))
    dropped = [entry.source for entry in conversion.entries if entry.action == 'dropped']
    assert sorted(dropped) == sorted(set(weights) - set(plain(weights)))
    assert len(conversion.entries) == len(weights)


def test_a_counter_is_dropped_with_its_batch_norm_alone(weights):
    norm = 'backbone.bn1.'
    assert f'{norm}num_batches_tracked' in weights
    # As of a model: without counters.
    shapes = {name: v.shape for name, v in weights.items() if 'num_batches' not in name}
    assert equal(convert(Checkpoint(weights), Target(shapes, whole=True)).weights, weights)
    shapes = {name: shape for name, shape in shapes.items() if not name.startswith(norm)}
    conversion = convert(Checkpoint(weights), Target(shapes, whole=True))
    dropped = {entry.source for entry in conversion.entries if entry.action == 'dropped'}
    assert dropped == set(weights) - set(conversion.weights)
    assert dropped == {name for name in weights if name.startswith(norm)}


@pytest.mark.parametrize(
    ('meta', 'kept'),
    [
        (dict(dataset_meta=dict(classes=('a',))), dict(classes=('a',))),
        (dict(CLASSES=('a',), PALETTE=[(1, 2, 3)]), dict(classes=('a',), palette=[(1, 2, 3)])),
        (dict(epoch=3), None),
    ],
)
def test_keeps_the_classes_names(weights, target, meta, kept):
    conversion = convert(Checkpoint(weights, meta), target)
    assert conversion.meta.get('dataset_meta') == kept
    assert conversion.meta['converted_from'] == 'mmdet 2.x or 3.x'


def test_an_unknown_format_is_told_by_what_is_in_it():
    weights = {f'transformer.{i}.weight': torch.zeros(1) for i in range(4)}
    weights['head.weight'] = torch.zeros(1)
    with pytest.raises(CheckpointError, match=r'5 parameters, of transformer \(4\), head \(1\)'):
        convert(Checkpoint(weights))


def test_a_model_whose_head_cannot_be_told_asks_for_the_config(weights):
    without = {name: v for name, v in weights.items() if 'mask_head.convs' not in name}
    with pytest.raises(CheckpointError, match='give the config of the model'):
        convert(Checkpoint(without))


def test_mmdet_1_is_refused(weights):
    old = {name.replace('roi_head.', ''): value for name, value in weights.items()}
    with pytest.raises(CheckpointError, match='no known two-stage model'):
        convert(Checkpoint(old))
