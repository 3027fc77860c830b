"""The map on tensors, in predictions, and its way through a checkpoint."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.runner import load_checkpoint
from safetensors.torch import load, save

from msrcnn_plugin.models import MaskIoUCalibration, calibrated_checkpoint

from ..conftest import build_tiny_model
from .test_roi_heads import predict

KNOTS, VALUES = [0.0, 0.5, 1.0], [0.1, 0.2, 0.9]
CALIBRATION = dict(type='MaskIoUCalibration')


def calibration(knots=KNOTS, values=VALUES, **options):
    module = MaskIoUCalibration(**options)
    module.set_map(knots, values)
    return module


def test_linear_between_the_points():
    calibrated = calibration()(torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0]))
    torch.testing.assert_close(calibrated, torch.tensor([0.1, 0.15, 0.2, 0.55, 0.9]))


def test_identity_until_a_map_is_loaded():
    ious = torch.rand(50)
    assert torch.equal(MaskIoUCalibration()(ious), ious)


def test_no_detections():
    assert calibration()(torch.zeros(0)).shape == (0,)


def test_slices_of_a_tensor_are_calibrated_without_a_warning():
    assert calibration()(torch.rand(6, 2)[:, 0]).shape == (6,)


@given(
    gaps=st.lists(st.tuples(st.integers(1, 100), st.integers(0, 100)), min_size=1, max_size=20),
    ious=st.lists(st.floats(0, 1, width=32), max_size=50),
)
def test_equals_numpy_and_never_falls(gaps, ious):
    steps = np.array([(0, 0), *gaps]).cumsum(0) / np.maximum(np.sum(gaps, 0), 1)
    ious = np.sort(np.array(ious, dtype=np.float32))
    calibrated = calibration(*steps.T.tolist())(torch.from_numpy(ious))
    np.testing.assert_allclose(calibrated, np.interp(ious, *steps.T), atol=1e-5)
    assert (calibrated.diff() >= 0).all()
    assert ((calibrated >= 0) & (calibrated <= 1)).all()


@pytest.mark.parametrize(
    ('knots', 'values'),
    [
        ([], []),
        ([0.0], [0.0]),
        ([0.0, 1.0], [0.0, 0.5, 1.0]),
        ([0.1, 1.0], [0.0, 1.0]),
        ([0.0, 0.9], [0.0, 1.0]),
        ([0.0, 0.5, 0.5, 1.0], [0.0, 0.1, 0.2, 0.3]),
        ([0.0, 1.0], [0.5, 0.4]),
        ([0.0, 1.0], [-0.1, 1.0]),
        ([0.0, 1.0], [0.0, 1.1]),
        ([0.0, float('nan'), 1.0], [0.0, 0.5, 1.0]),
        ([0.0, 0.5, 1.0], [0.0, float('nan'), 1.0]),
    ],
)
def test_what_is_no_rising_map_is_refused(knots, values):
    with pytest.raises(ValueError, match='rising within'):
        calibration(knots, values)


# --- predictions


@pytest.fixture
def model():
    return build_tiny_model()


def calibrated_model(model, **options):
    other = build_tiny_model(mask_iou_calibration=dict(CALIBRATION, **options))
    checkpoint = calibrated_checkpoint(model.state_dict(), KNOTS, VALUES)
    other.load_state_dict(checkpoint['state_dict'])
    return other


def test_only_the_mask_ious_change(model, batch):
    plain, calibrated = predict(model, batch), predict(calibrated_model(model), batch)
    for before, after in zip(plain, calibrated):
        assert len(before) > 0
        for name in ('bboxes', 'scores', 'labels', 'masks', 'mask_scores'):
            assert torch.equal(before[name], after[name]), name
        assert torch.equal(after.uncalibrated_mask_ious, before.mask_ious)
        assert torch.equal(after.mask_ious, calibration()(before.mask_ious))
        assert not torch.equal(after.mask_ious, before.mask_ious)
        assert set(after.keys()) - set(before.keys()) == {'uncalibrated_mask_ious'}


def test_mask_scores_follow_where_that_is_asked_for(model, batch):
    for results in predict(calibrated_model(model, rerank=True), batch):
        assert torch.equal(results.mask_scores, results.scores * results.mask_ious)
        assert not torch.equal(results.mask_ious, results.uncalibrated_mask_ious)


def test_no_detections_have_the_same_fields(model, batch):
    other = calibrated_model(model)
    fields = set(predict(other, batch)[0].keys())
    other.roi_head.test_cfg.score_thr = 2.0
    for results in predict(other, batch):
        assert set(results.keys()) == fields
        assert results.uncalibrated_mask_ious.shape == (0,)


# --- checkpoints


def test_a_calibrated_checkpoint_loads_strictly_with_and_without_calibration(model, tmp_path):
    meta = dict(epoch=3)
    whole = calibrated_checkpoint(dict(state_dict=model.state_dict(), meta=meta), KNOTS, VALUES)
    torch.save(whole, tmp_path / 'calibrated.pth')
    loaded = torch.load(tmp_path / 'calibrated.pth', weights_only=True)
    assert loaded['meta'] == meta
    plain = build_tiny_model()
    plain.load_state_dict(loaded['state_dict'])
    calibrated = build_tiny_model(mask_iou_calibration=CALIBRATION)
    # As a test and init_detector load it.
    load_checkpoint(calibrated, str(tmp_path / 'calibrated.pth'), map_location='cpu', strict=True)
    np.testing.assert_allclose(calibrated.roi_head.mask_iou_calibration.values, VALUES)


def test_weights_of_a_wrapped_model(model):
    wrapped = {f'module.{key}': value for key, value in model.state_dict().items()}
    whole = calibrated_checkpoint(wrapped, KNOTS, VALUES)
    added = {f'module.roi_head.mask_iou_calibration.{key}' for key in ('knots', 'values')}
    assert set(whole['state_dict']) - set(wrapped) == added


def test_the_given_checkpoint_stays_as_it_is(model):
    weights = model.state_dict()
    names, metadata = list(weights), copy.deepcopy(weights._metadata)
    whole = calibrated_checkpoint(dict(state_dict=weights), KNOTS, VALUES)
    assert (list(weights), weights._metadata) == (names, metadata)
    assert whole['state_dict']._metadata == metadata


@pytest.mark.parametrize('way', [dict, lambda weights: load(save(weights))], ids=['dict', 'file'])
def test_the_map_needs_no_metadata(model, way):
    weights = calibrated_checkpoint(model.state_dict(), KNOTS, VALUES)['state_dict']
    calibrated = build_tiny_model(mask_iou_calibration=CALIBRATION).eval()
    for _ in range(2):  # also what the calibrated model saves
        calibrated.load_state_dict(way(weights), strict=True)
        np.testing.assert_allclose(calibrated.roi_head.mask_iou_calibration.values, VALUES)
        weights = calibrated.state_dict()
    model.load_state_dict(way(weights), strict=True)


def test_a_map_in_metadata_as_before_is_read(model):
    weights = model.state_dict()
    weights._metadata['roi_head.mask_iou_calibration'] = dict(knots=KNOTS, values=VALUES, version=1)
    calibrated = build_tiny_model(mask_iou_calibration=CALIBRATION)
    calibrated.load_state_dict(weights, strict=True)
    np.testing.assert_allclose(calibrated.roi_head.mask_iou_calibration.values, VALUES)


def test_a_checkpoint_without_calibration_is_refused(model):
    calibrated = build_tiny_model(mask_iou_calibration=CALIBRATION)
    with pytest.raises(ValueError, match=r'roi_head\.mask_iou_calibration.*msrcnn calibrate'):
        calibrated.load_state_dict(model.state_dict())


def test_a_model_without_the_head_cannot_be_calibrated():
    weights = build_tiny_model('StandardRoIHead').state_dict()
    with pytest.raises(ValueError, match='no mask_iou_head among'):
        calibrated_checkpoint(weights, KNOTS, VALUES)


def test_a_map_that_cannot_be_loaded_is_not_written(model):
    with pytest.raises(ValueError, match='rising'):
        calibrated_checkpoint(model.state_dict(), [0.0, 1.0], [1.0, 0.0])


def test_the_map_moves_with_the_model():
    module = calibration().to('meta')
    assert module.knots.device.type == module.values.device.type == 'meta'
    assert not module.train().state_dict()


def test_the_map_is_saved_with_the_weights_it_was_fitted_to(model):
    calibrated = build_tiny_model(mask_iou_calibration=CALIBRATION).eval()
    whole = calibrated_checkpoint(dict(state_dict=model.state_dict()), KNOTS, VALUES)
    calibrated.load_state_dict(whole['state_dict'])
    again = build_tiny_model(mask_iou_calibration=CALIBRATION)
    again.load_state_dict(calibrated.state_dict())
    np.testing.assert_allclose(again.roi_head.mask_iou_calibration.values, VALUES)
    trained = calibrated.train().eval()  # as a best checkpoint is saved
    with pytest.raises(ValueError, match='Fit a calibration'):
        again.load_state_dict(trained.state_dict())
