"""The command: a file in, a file out that loads, a table, and one line where it cannot."""

import json
import re

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.runner import load_checkpoint

from msrcnn_plugin.commands.main import main
from msrcnn_plugin.models import calibrated_checkpoint

from ..checkpoints.authors_model import make_weights
from ..checkpoints.test_authors import narrow_config
from ..conftest import build_tiny_model, tiny_model_cfg


def convert(*words):
    return main(['convert', *map(str, words)])


@pytest.fixture(scope='module')
def authors_file(tmp_path_factory):
    path = tmp_path_factory.mktemp('authors') / 'model_final.pth'
    weights = {f'module.{name}': value for name, value in make_weights(classes=3).items()}
    torch.save(dict(model=weights, optimizer=dict(state={}), iteration=90000), path)
    return path


@pytest.fixture(scope='module')
def config_file(tmp_path_factory):
    path = tmp_path_factory.mktemp('config') / 'config.py'
    narrow_config(classes=3).dump(path)
    return path


def test_an_authors_file_becomes_one_that_loads_strictly(
    authors_file, config_file, tmp_path, capsys
):
    out, record = tmp_path / 'out.pth', tmp_path / 'out.json'
    words = [authors_file, out, '--config', config_file, '--json', record]
    assert convert(*words) == 0
    model = MODELS.build(narrow_config(classes=3).model)
    load_checkpoint(model, str(out), map_location='cpu', strict=True)
    table = capsys.readouterr().out
    assert 'backbone.fpn.fpn_inner*' in table
    assert 'background last' in table
    assert 'not mapped' in table
    content = json.loads(record.read_text())
    assert content['format'] == "the authors' maskrcnn-benchmark"
    renamed = [entry for entry in content['parameters'] if entry['action'] == 'renamed']
    assert {entry['target'] for entry in renamed} == set(
        torch.load(out, weights_only=True)['state_dict']
    )


def test_a_mask_rcnn_becomes_a_start_for_scoring(tmp_path, capsys):
    weights = build_tiny_model('StandardRoIHead').state_dict()
    torch.save(dict(state_dict=weights, optimizer={}), tmp_path / 'in.pth')
    assert convert(tmp_path / 'in.pth', tmp_path / 'out.pth') == 0
    assert set(torch.load(tmp_path / 'out.pth', weights_only=True)) == {'meta', 'state_dict'}
    output = capsys.readouterr().out
    assert 'roi_head.mask_iou_head.convs.*' in output
    assert 'initialised by the training' in output


def cfg_of_logits(**roi_head):
    cfg = tiny_model_cfg(**roi_head)
    cfg.roi_head.mask_iou_head.loss_iou = dict(type='CrossEntropyLoss', use_sigmoid=True)
    return cfg


def model_of_logits(**roi_head):
    return MODELS.build(cfg_of_logits(**roi_head))


@pytest.fixture
def calibrated_logits(tmp_path):
    """A converted file of a model whose head predicts the logit of the IoU, with a calibration."""
    torch.save(
        calibrated_checkpoint(
            dict(state_dict=model_of_logits().state_dict()), [0.0, 0.5, 1.0], [0.0, 0.75, 1.0]
        ),
        tmp_path / 'in.pth',
    )
    cfg = Config(dict(model=cfg_of_logits()))
    cfg.dump(tmp_path / 'config.py')
    words = ['in.pth', 'out.pth', '--config', 'config.py']
    words = [word if word.startswith('--') else str(tmp_path / word) for word in words]
    assert convert(*words) == 0
    return str(tmp_path / 'out.pth')


def test_what_the_head_predicts_is_kept(calibrated_logits):
    load_checkpoint(model_of_logits(), calibrated_logits, map_location='cpu', strict=True)
    with pytest.raises(ValueError, match='predict the logit of the IoU, but'):
        load_checkpoint(build_tiny_model(), calibrated_logits, map_location='cpu', strict=True)


def test_a_calibration_is_kept(calibrated_logits):
    model = model_of_logits(mask_iou_calibration=dict(type='MaskIoUCalibration'))
    load_checkpoint(model, calibrated_logits, map_location='cpu', strict=True)
    assert model.roi_head.mask_iou_calibration.values.tolist() == [0.0, 0.75, 1.0]


def one_line(capsys):
    error = capsys.readouterr().err
    assert error.count('\n') == 1
    return error


def test_what_it_cannot_convert_it_says_in_one_line(tmp_path, capsys):
    torch.save(dict(state_dict={'encoder.weight': torch.zeros(1)}), tmp_path / 'in.pth')
    assert convert(tmp_path / 'in.pth', tmp_path / 'out.pth') == 2
    assert 'no known two-stage model: 1 parameters, of encoder (1)' in one_line(capsys)
    assert not (tmp_path / 'out.pth').exists()


UNUSABLE = {
    'SyntaxError': 'model = dict(',
    'FileNotFoundError': "_base_ = './missing.py'",
    "KeyError: 'NoSuchModel": "model = dict(type='NoSuchModel')",
    'TypeError: ': "model = dict(type='MSMaskIoUHead', no_such_argument=1)",
    'ValueError: .*MSMaskIoUHead needs': "model = dict(type='MSMaskIoUHead')",
    'the config has no model': 'data_root = None',
}


@pytest.mark.parametrize(('message', 'config'), UNUSABLE.items())
def test_a_config_that_cannot_be_used_takes_one_line(
    authors_file, tmp_path, capsys, message, config
):
    path = tmp_path / 'config.py'
    path.write_text(config)
    words = [str(authors_file), str(tmp_path / 'out.pth'), '--config', str(path)]
    assert convert(*words) == 2
    assert re.search(message, one_line(capsys))
    assert not (tmp_path / 'out.pth').exists()


def test_wrong_arguments_take_one_line(authors_file, tmp_path, capsys):
    wrong = {
        'no such file': ['missing.pth', tmp_path / 'out.pth'],
        'exists: give a new file': [authors_file, authors_file],
        'none.py: there is no such file': [authors_file, tmp_path / 'o', '--config', 'none.py'],
        'cannot be written': [authors_file, authors_file / 'below' / 'out.pth'],
    }
    for message, words in wrong.items():
        assert convert(*words) == 2
        assert message in one_line(capsys)
