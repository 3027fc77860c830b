"""The config of a model with mask scores, made of the one without."""

import pytest
from mmengine.config import Config

from msrcnn_plugin.apis.fit.scored_config import HOSTS, scored_config
from msrcnn_plugin.models import MaskScoringMixin

from ..conftest import tiny_model_cfg
from ..own_project import tiny_cascade_cfg


def written(folder, model, **changes):
    """The new config as it is read from its file, and as it was returned."""
    Config(dict(model=model, default_scope='mmdet', **changes)).dump(folder / 'plain.py')
    (folder / 'out').mkdir()
    cfg, text = scored_config(folder / 'plain.py', folder / 'out' / 'scored.py')
    (folder / 'out' / 'scored.py').write_text(text)
    return Config.fromfile(folder / 'out' / 'scored.py'), cfg


def test_each_host_has_its_scoring_head():
    assert HOSTS['StandardRoIHead'] == 'MSRoIHead'
    assert HOSTS['HybridTaskCascadeRoIHead'] == 'MSHTCRoIHead'
    assert HOSTS['MaskScoringRoIHead'] == 'MSRoIHead'
    assert MaskScoringMixin.__name__ not in HOSTS
    assert len(HOSTS) >= 8


@pytest.mark.parametrize(
    ('model', 'imports'),
    [(tiny_model_cfg('StandardRoIHead'), ['json']), (tiny_cascade_cfg(), 'json')],
)
def test_the_file_gives_the_config(tmp_path, model, imports):
    read, returned = written(tmp_path, model, custom_imports=dict(imports=imports))
    assert read.model.to_dict() == returned.model.to_dict()
    assert read.custom_imports.imports == ['json', 'msrcnn_plugin']
    assert read.model.roi_head.mask_iou_head.conv_out_channels == 16  # the RoI feature's


def test_a_head_that_is_there_is_replaced(tmp_path):
    model = tiny_model_cfg('MSRoIHead')
    model.roi_head.mask_iou_head.num_convs = 1
    read, _ = written(tmp_path, model)
    assert read.model.roi_head.type == 'MSRoIHead'
    assert 'num_convs' not in read.model.roi_head.mask_iou_head
    assert read.model.roi_head.mask_iou_head.count_zero_targets


def test_the_test_tells_what_the_mask_score_gains(tmp_path):
    coco = dict(type='CocoMetric', ann_file='a.json', metric=['bbox', 'segm'])
    own = dict(type='CityScapesMetric', ann_file='a.json')
    model = tiny_model_cfg('StandardRoIHead')
    read, _ = written(tmp_path, model, val_evaluator=own, test_evaluator=coco)
    assert read.test_evaluator.to_dict() == {**coco, 'type': 'MaskScoringMetric'}
    assert read.val_evaluator.to_dict() == own


def test_a_folder_that_is_a_link_finds_the_config(tmp_path):
    (tmp_path / 'disk' / 'deep' / 'out').mkdir(parents=True)
    (tmp_path / 'out').symlink_to(tmp_path / 'disk' / 'deep' / 'out')
    Config(dict(model=tiny_model_cfg('StandardRoIHead'))).dump(tmp_path / 'plain.py')
    scored = tmp_path / 'out' / 'scored.py'
    cfg, text = scored_config(tmp_path / 'plain.py', scored)
    scored.write_text(text)
    assert Config.fromfile(scored).model == cfg.model
