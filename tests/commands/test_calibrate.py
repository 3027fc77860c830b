"""From the matches of a test to a calibrated checkpoint, and the test of that."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from mmengine.runner import Runner, save_checkpoint

from msrcnn_plugin.checkpoints.files import read_content
from msrcnn_plugin.commands.calibrate import METHODS
from msrcnn_plugin.commands.main import main
from msrcnn_plugin.evaluation import Matches, expected_calibration_error

from ..tiny_set import run_config, write_tiny_set

pytest.importorskip('sklearn', reason='scikit-learn, which fits calibrations, is not installed')


def evaluate(data, folder, checkpoint=None, **roi_head):
    """A test of a tiny model: the figures; the matches are in ``folder``."""
    cfg = run_config(data, folder)
    cfg.model.roi_head.update(roi_head)
    cfg.test_evaluator = dict(
        type='MaskScoringMetric',
        ann_file=cfg.test_evaluator.ann_file,
        pairs_file=f'{folder}/pairs.npz',
    )
    cfg.load_from = checkpoint and str(checkpoint)
    runner = Runner.from_cfg(cfg)
    return runner, runner.test()


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A folder with a checkpoint whose predicted IoU rises with the true one, and its matches.

    No training gets there in a second: the matches are made up.
    """
    folder = tmp_path_factory.mktemp('trained')
    runner, _ = evaluate(write_tiny_set(folder / 'set'), folder)
    save_checkpoint(
        dict(
            meta=dict(epoch=1),
            state_dict=runner.model.state_dict(),
            message_hub=runner.message_hub.state_dict(),
        ),
        f'{folder}/model.pth',
    )
    matches = Matches.load(folder / 'pairs.npz')
    true_iou = np.clip(0.5 + matches.scores['mask_iou'], 0, 1)
    dataclasses.replace(matches, true_iou=true_iou).save(folder / 'pairs.npz')
    return folder


def calibrate(*words):
    return main(['calibrate', *map(str, words)])


def test_a_calibrated_checkpoint_is_tested(trained, tmp_path, capsys):
    out, figures_file = tmp_path / 'calibrated.pth', tmp_path / 'figures.json'
    pairs = trained / 'pairs.npz'
    assert calibrate(pairs, trained / 'model.pth', out, '--json', figures_file) == 0
    shown = capsys.readouterr().out
    assert 'model.roi_head.mask_iou_calibration.type=MaskIoUCalibration' in shown
    figures, matches = json.loads(figures_file.read_text()), Matches.load(pairs)
    predicted = matches.scores['mask_iou']
    assert figures['detections'] == len(matches)
    assert figures['before']['ece'] == expected_calibration_error(predicted, matches.true_iou)
    assert figures['after']['ece'] < figures['before']['ece']
    assert f'{figures["before"]["ece"]:.3f}' in shown
    mapped = np.interp(predicted, figures['knots'], figures['values'])
    np.testing.assert_allclose(mapped, matches.true_iou, atol=2e-3)

    config = dict(mask_iou_calibration=dict(type='MaskIoUCalibration'))
    _, plain = evaluate(trained / 'set', tmp_path / 'plain', out)
    _, calibrated = evaluate(trained / 'set', tmp_path / 'after', out, **config)
    for name, value in plain.items():
        if 'mAP' in name:
            assert calibrated[name] == pytest.approx(value, nan_ok=True), name
    after = Matches.load(tmp_path / 'after' / 'pairs.npz')
    np.testing.assert_array_equal(after.scores['uncalibrated_mask_iou'], predicted)
    np.testing.assert_allclose(after.scores['mask_iou'], matches.true_iou, atol=2e-3)


@pytest.mark.parametrize('method', METHODS)
def test_the_checkpoint_keeps_all_it_had(trained, tmp_path, method):
    out = tmp_path / 'calibrated.pth'
    assert calibrate(trained / 'pairs.npz', trained / 'model.pth', out, '--method', method) == 0
    before, after = map(read_content, (trained / 'model.pth', out))
    assert after['meta'].pop('mask_iou_calibration')['method'] == method
    assert after['meta'] == before['meta']
    assert after.keys() == before.keys()
    for name, value in before['state_dict'].items():
        assert torch.equal(after['state_dict'][name], value)


def test_matches_alone_give_the_figures(trained, capsys):
    assert calibrate(trained / 'pairs.npz') == 0
    assert 'after, on images held out' in capsys.readouterr().out


def test_a_calibrated_model_is_fitted_again_to_what_its_head_gave(trained, tmp_path):
    matches = Matches.load(trained / 'pairs.npz')
    scores = dict(matches.scores, mask_iou=matches.true_iou)
    scores['uncalibrated_mask_iou'] = matches.scores['mask_iou']
    dataclasses.replace(matches, scores=scores).save(tmp_path / 'again.npz')
    for pairs, name in ((trained / 'pairs.npz', 'first'), (tmp_path / 'again.npz', 'second')):
        assert calibrate(pairs, '--json', tmp_path / name) == 0
    assert (tmp_path / 'first').read_text() == (tmp_path / 'second').read_text()


def test_bad_input_takes_one_line(trained, tmp_path, capsys):
    pairs, checkpoint, out = (tmp_path / name for name in ('pairs.npz', 'model.pth', 'out.pth'))

    def refusal(*words):
        assert calibrate(*words) == 2
        error = capsys.readouterr().err
        assert error.count('\n') == 1
        return error

    assert 'no such file' in refusal(pairs)
    matches = Matches.load(trained / 'pairs.npz')
    matches.save(pairs)
    torch.save({}, checkpoint)
    assert 'or neither' in refusal(pairs, checkpoint)
    assert 'cannot be written' in refusal(pairs, checkpoint, pairs / 'below' / 'out')
    assert 'no mask_iou_head' in refusal(pairs, checkpoint, out)
    torch.save([1, 2], checkpoint)
    assert 'holds a list' in refusal(pairs, checkpoint, out)
    checkpoint.write_bytes(b'no checkpoint')
    assert 'cannot be read as weights alone' in refusal(pairs, checkpoint, out)
    scores = {name: value for name, value in matches.scores.items() if name == 'score'}
    dataclasses.replace(matches, scores=scores).save(pairs)
    assert 'no predicted IoU' in refusal(pairs, checkpoint, out)
    pairs.write_bytes(b'no pairs')
    assert 'pairs.npz' in refusal(pairs, checkpoint, out)
    assert not out.exists()
