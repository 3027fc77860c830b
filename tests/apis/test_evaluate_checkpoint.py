"""One test of a tiny model, and every way in which its inputs may be wrong."""

import json
import sys

import pytest
import torch
from mmdet.evaluation import CocoMetric
from mmdet.registry import MODELS
from mmengine.config import Config

from msrcnn_plugin import apis
from msrcnn_plugin.apis import evaluate_checkpoint
from msrcnn_plugin.apis.evaluate_checkpoint import scoring_evaluators, type_name, writes_mask_scores
from msrcnn_plugin.evaluation import Matches

from ..conftest import tiny_model_cfg
from ..tested_models import model_cfg
from ..tiny_set import run_config, write_tiny_set

evaluation_module = sys.modules['msrcnn_plugin.apis.evaluate_checkpoint']


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return write_tiny_set(tmp_path_factory.mktemp('data') / 'set')


@pytest.fixture
def run(data, tmp_path):
    """A config's file and a checkpoint that fits it."""

    def run(roi_head='MSRoIHead', **changes):
        model = tiny_model_cfg(roi_head)
        run_config(data, tmp_path, model=model, **changes).dump(str(tmp_path / 'config.py'))
        weights = MODELS.build(model).state_dict()
        torch.save(dict(state_dict=weights, meta={}), tmp_path / 'model.pth')
        return tmp_path / 'config.py', tmp_path / 'model.pth'

    return run


@pytest.mark.parametrize(
    ('roi_head', 'predicts_iou'), [('MSRoIHead', True), ('StandardRoIHead', False)]
)
def test_any_model_of_a_coco_metric_is_tested(run, data, tmp_path, roi_head, predicts_iou):
    test = evaluate_checkpoint(*run(roi_head), tmp_path / 'out')
    matches = Matches.load(test.pairs_file)
    assert (
        len(matches) == len(json.loads(test.results_file.read_text())) == len(test.result.matches)
    )
    assert ('mask_iou' in matches.scores) is predicts_iou
    assert (matches.scores['mask_mean_prob'] >= 0).all()
    assert {'coco/segm_mAP_prob', 'coco/segm_mAP_stability'} <= set(test.figures)
    assert test.figures['coco/segm_mAP'] == pytest.approx(test.result.figures['segm_mAP'])
    assert test.ann_file == f'{data}/annotations.json'
    assert test.image_folder == f'{data}/images/'


def test_options_change_the_config(run, tmp_path):
    options = {'model.test_cfg.rcnn.max_per_img': 1}
    config, checkpoint = run()
    cfg = Config.fromfile(config)
    test = evaluate_checkpoint(cfg, checkpoint, tmp_path / 'out', cfg_options=options)
    assert len(test.result.matches) <= 8
    assert cfg.pretty_text == Config.fromfile(config).pretty_text  # the caller's stays as it was


def test_averaged_weights_are_those_of_the_checkpoint(run, tmp_path):
    files, hooks = run(), {'custom_hooks': [dict(type='EMAHook')]}
    plain = evaluate_checkpoint(*files, tmp_path / 'plain')
    averaged = evaluate_checkpoint(*files, tmp_path / 'averaged', cfg_options=hooks)
    assert len(plain.result.matches)
    assert averaged.result.matches.scores['mask_score'] == pytest.approx(
        plain.result.matches.scores['mask_score']
    )


def test_a_config_without_a_scope(run, tmp_path):
    test = evaluate_checkpoint(*run(default_scope=None), tmp_path / 'out')
    assert len(test.result.matches)


@pytest.mark.parametrize(
    ('kind', 'changes', 'expected'),
    [
        ('mask_rcnn', {}, False),
        ('ms_rcnn', {}, True),
        ('plugin', {}, False),
        ('plugin', {'rescore_boxes': True}, True),
    ],
)
def test_models_that_write_mask_scores_over_class_scores(kind, changes, expected):
    cfg = Config(dict(model=model_cfg(kind)))
    cfg.model.roi_head.update(changes)
    assert writes_mask_scores(cfg) is expected


def test_a_one_stage_model_writes_class_scores():
    assert not writes_mask_scores(Config(dict(model=dict(type='SOLO'))))


@pytest.mark.parametrize('given', ['CocoMetric', 'mmdet.CocoMetric', CocoMetric])
def test_types_are_names_or_classes(given):
    assert type_name(given) == 'CocoMetric'


def test_a_checkpoint_of_another_model(run, tmp_path):
    config, _ = run()
    weights = MODELS.build(tiny_model_cfg('StandardRoIHead')).state_dict()
    torch.save(dict(state_dict=weights), tmp_path / 'plain.pth')
    with pytest.raises(ValueError, match=r'plain\.pth does not fit .*mask_iou_head'):
        evaluate_checkpoint(config, tmp_path / 'plain.pth', tmp_path / 'out')


@pytest.mark.parametrize('content', [b'', b'no checkpoint'])
def test_a_file_that_is_no_checkpoint(run, tmp_path, content):
    config, checkpoint = run()
    checkpoint.write_bytes(content)
    with pytest.raises(ValueError, match='does not fit'):
        evaluate_checkpoint(config, checkpoint, tmp_path / 'out')


@pytest.mark.parametrize('missing', ['config.py', 'model.pth'])
def test_a_file_that_is_not_there(run, tmp_path, missing):
    files = run()
    (tmp_path / missing).unlink()
    with pytest.raises(FileNotFoundError, match=missing):
        evaluate_checkpoint(*files, tmp_path / 'out')


def test_a_config_that_is_none(run, tmp_path):
    config, checkpoint = run()
    config.write_text('model = dict(')
    with pytest.raises(ValueError, match='no config that can be read'):
        evaluate_checkpoint(config, checkpoint, tmp_path / 'out')


def test_a_missing_image_is_named_before_the_test(run, tmp_path):
    images = {'test_dataloader.dataset.data_prefix.img': 'elsewhere/'}
    with pytest.raises(ValueError, match=r'elsewhere/0\.jpg'):
        evaluate_checkpoint(*run(), tmp_path / 'out', cfg_options=images)


@pytest.mark.parametrize('key', ['test_evaluator.ann_file', 'test_dataloader.dataset.ann_file'])
def test_a_broken_annotation_file_is_named(run, tmp_path, key):
    broken = tmp_path / 'broken.json'
    broken.write_text('{"images": [')
    with pytest.raises(ValueError, match=r'broken\.json'):
        evaluate_checkpoint(*run(), tmp_path / 'out', cfg_options={key: str(broken)})


def test_predictions_for_images_that_the_annotations_lack(run, data, tmp_path):
    coco = json.loads((data / 'annotations.json').read_text())
    coco['images'] = coco['images'][:3]
    coco['annotations'] = [a for a in coco['annotations'] if a['image_id'] < 3]
    other = tmp_path / 'other.json'
    other.write_text(json.dumps(coco))
    with pytest.raises(ValueError, match='prediction for image 3'):
        evaluate_checkpoint(
            *run(), tmp_path / 'out', cfg_options={'test_evaluator.ann_file': str(other)}
        )


def test_the_coco_metric_among_others_is_taken_with_its_arguments(tmp_path):
    given = [dict(type='VOCMetric'), dict(type='mmdet.CocoMetric', ann_file='a', metric='segm')]
    (metric,) = scoring_evaluators(given, tmp_path)
    assert metric['type'] == 'MaskScoringMetric'
    assert metric['ann_file'] == 'a'
    assert metric['metric'] == ['bbox', 'segm']
    assert not metric['bounded_scores']


@pytest.mark.parametrize('given', [None, [], dict(type='VOCMetric')])
def test_another_metric_is_refused(given, tmp_path):
    with pytest.raises(ValueError, match='expected one of'):
        scoring_evaluators(given, tmp_path)


@pytest.mark.parametrize(
    'content', ['x = unknown', 'x = 1 + None', "_base_ = 'none.py'", 'x = 1/0']
)
def test_a_config_that_fails(run, tmp_path, content):
    config, checkpoint = run()
    config.write_text(content)
    with pytest.raises(ValueError, match='no config that can be read'):
        evaluate_checkpoint(config, checkpoint, tmp_path / 'out')


@pytest.mark.parametrize('part', ['model.type', 'test_dataloader.dataset.type'])
def test_a_type_that_is_not_registered(run, tmp_path, part):
    with pytest.raises(ValueError, match=r'the config cannot be built: KeyError.*Unknown'):
        evaluate_checkpoint(*run(), tmp_path / 'out', cfg_options={part: 'Unknown'})


def test_an_image_without_a_file_name(run, data, tmp_path):
    coco = json.loads((data / 'annotations.json').read_text())
    del coco['images'][3]['file_name']
    (tmp_path / 'nameless.json').write_text(json.dumps(coco))
    options = {'test_dataloader.dataset.ann_file': str(tmp_path / 'nameless.json')}
    with pytest.raises(ValueError, match=r'nameless\.json.*file_name'):
        evaluate_checkpoint(*run(), tmp_path / 'out', cfg_options=options)


@pytest.fixture
def untested(monkeypatch):
    """No image is predicted."""
    monkeypatch.setattr(evaluation_module, '_run', lambda runner: pytest.fail('tested'))


@pytest.mark.usefixtures('untested')
def test_an_output_folder_that_cannot_be_written(run, tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(OSError, match='cannot be written'):
        evaluate_checkpoint(*run(), tmp_path / 'file' / 'out')


def test_former_names_say_the_new_ones():
    with pytest.warns(DeprecationWarning, match='evaluate_checkpoint'):
        assert apis.run_scored_test is evaluate_checkpoint
