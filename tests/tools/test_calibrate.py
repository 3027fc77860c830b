"""From a test's pairs to a calibrated checkpoint, and the test of that."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from mmengine.runner import Runner, save_checkpoint

from msrcnn_plugin.evaluation import MaskScoringPairs, expected_calibration_error
from tools import calibrate

from ..evaluation.test_pairs import pairs_of
from ..tiny_set import run_config, write_tiny_set

pytest.importorskip('sklearn', reason='scikit-learn, which fits calibrations, is not installed')


def evaluate(data, folder, checkpoint=None, **roi_head):
    """A test of a tiny model: the figures; the pairs are in ``folder``."""
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


@pytest.fixture
def trained(tmp_path):
    """A checkpoint whose predicted IoU rises with the true one, and the pairs of its test.

    No training gets there in a second: the pairs are made up.
    """
    runner, _ = evaluate(write_tiny_set(tmp_path / 'set'), tmp_path / 'before')
    save_checkpoint(
        dict(
            meta=dict(epoch=1),
            state_dict=runner.model.state_dict(),
            message_hub=runner.message_hub.state_dict(),
        ),
        str(tmp_path / 'model.pth'),
    )
    path = tmp_path / 'before' / 'pairs.npz'
    pairs = MaskScoringPairs.load(path)
    pairs.true_iou[:] = np.clip(0.5 + pairs.predicted_iou, 0, 1)
    pairs.save(path)
    return tmp_path / 'model.pth', path


def test_a_calibrated_checkpoint_is_tested(trained, tmp_path, capsys):
    checkpoint, pairs_file = trained
    out, figures_file = tmp_path / 'calibrated.pth', tmp_path / 'figures.json'
    arguments = [str(pairs_file), str(checkpoint), str(out), '--json', str(figures_file)]
    assert calibrate.main(arguments) == 0
    shown = capsys.readouterr().out
    assert 'model.roi_head.mask_iou_calibration.type=MaskIoUCalibration' in shown
    figures = json.loads(figures_file.read_text())
    pairs = MaskScoringPairs.load(pairs_file)
    assert figures['detections'] == len(pairs)
    assert figures['before']['ece'] == expected_calibration_error(
        pairs.predicted_iou, pairs.true_iou
    )
    assert figures['after']['ece'] < figures['before']['ece']
    assert f'{figures["before"]["ece"]:.3f}' in shown

    data = tmp_path / 'set'
    config = dict(mask_iou_calibration=dict(type='MaskIoUCalibration'))
    _, plain = evaluate(data, tmp_path / 'plain', out)
    _, calibrated = evaluate(data, tmp_path / 'after', out, **config)
    for name, value in plain.items():
        if 'mAP' in name:
            assert calibrated[name] == pytest.approx(value, nan_ok=True), name
    after = MaskScoringPairs.load(tmp_path / 'after' / 'pairs.npz')
    np.testing.assert_array_equal(after.uncalibrated_iou, pairs.predicted_iou)
    np.testing.assert_allclose(after.predicted_iou, pairs.true_iou, atol=2e-3)


def test_the_checkpoint_keeps_what_it_had_and_tells_of_its_calibration(trained, tmp_path):
    checkpoint, pairs_file = trained
    out = tmp_path / 'calibrated.pth'
    for method in calibrate.METHODS:
        calibrate.main([str(pairs_file), str(checkpoint), str(out), '--method', method])
        before, after = (torch.load(path, weights_only=True) for path in (checkpoint, out))
        assert after['meta'].pop('mask_iou_calibration')['method'] == method
        assert after['meta'] == before['meta']
        assert after.keys() == before.keys()
        for name, value in before['state_dict'].items():
            assert torch.equal(after['state_dict'][name], value)
    assert not list(tmp_path.glob('.*partial'))


def test_a_calibrated_model_is_fitted_anew_to_what_it_was(tmp_path):
    pairs = pairs_of(40)
    pairs.save(tmp_path / 'plain.npz')
    calibrated = dataclasses.replace(
        pairs, predicted_iou=pairs.true_iou, uncalibrated_iou=pairs.predicted_iou
    )
    calibrated.save(tmp_path / 'calibrated.npz')
    fit, figures = calibrate.fitted(tmp_path / 'plain.npz', 'isotonic')
    again, same_figures = calibrate.fitted(tmp_path / 'calibrated.npz', 'isotonic')
    assert same_figures == figures
    np.testing.assert_array_equal(again.values, fit.values)


def refusal(arguments, capsys):
    with pytest.raises(SystemExit) as exit_info:
        calibrate.main([str(argument) for argument in arguments])
    assert exit_info.value.code == 2
    error = capsys.readouterr().err
    assert error.count('\n') == 1
    return error


def test_wrong_arguments_are_answered_in_one_line(tmp_path, capsys):
    pairs, checkpoint, out = (tmp_path / name for name in ('pairs.npz', 'model.pth', 'out.pth'))
    assert 'no such file' in refusal([pairs, checkpoint, out], capsys)
    pairs_of(3).save(pairs)
    torch.save({}, checkpoint)
    assert 'there is no folder' in refusal([pairs, checkpoint, tmp_path / 'no' / 'out'], capsys)
    assert 'invalid choice' in refusal([pairs, checkpoint, out, '--method', 'none'], capsys)
    assert 'no mask_iou_head' in refusal([pairs, checkpoint, out], capsys)
    torch.save([], checkpoint)
    assert 'holds a list' in refusal([pairs, checkpoint, out], capsys)
    checkpoint.write_bytes(b'no checkpoint')
    assert 'cannot be read as weights alone' in refusal([pairs, checkpoint, out], capsys)
    torch.save([1, 2], checkpoint)
    assert 'holds a list' in refusal([pairs, checkpoint, out], capsys)
    pairs_of(3, predicts_iou=False).save(pairs)
    assert 'no predicted MaskIoU' in refusal([pairs, checkpoint, out], capsys)
    pairs.write_bytes(b'no pairs')
    assert 'no readable pairs file' in refusal([pairs, checkpoint, out], capsys)
    assert not out.exists()
