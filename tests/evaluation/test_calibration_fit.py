import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from msrcnn_plugin.evaluation import (
    expected_calibration_error,
    fit_iou_calibration,
    held_out_calibration,
)
from msrcnn_plugin.evaluation.calibration_fit import MIN_SLOPE

pytest.importorskip('sklearn', reason='scikit-learn, which fits calibrations, is not installed')
METHODS = ('isotonic', 'platt', 'beta')


def too_high(count=4000, seed=0):
    """Predicted IoUs that exceed the true ones: t is u squared, and some noise."""
    rng = np.random.default_rng(seed)
    predicted = rng.random(count)
    return predicted, np.clip(predicted**2 + rng.normal(0, 0.1, count), 0, 1)


def test_isotonic_by_hand():
    # 0.4 and 0.5 are in the wrong order: one block with their mean.
    fitted = fit_iou_calibration([0.2, 0.4, 0.5, 0.8], [0.1, 0.6, 0.2, 0.9])
    expected = np.array([0.1, 0.1, 0.4, 0.4, 0.9, 0.9])
    at = np.array([0.0, 0.2, 0.4, 0.5, 0.8, 1.0])
    np.testing.assert_allclose(fitted(at), (1 - MIN_SLOPE) * expected + MIN_SLOPE * at, atol=1e-7)


@pytest.mark.parametrize(
    ('method', 'curve'),
    [
        ('platt', lambda u: expit(5 * u - 3)),
        ('beta', lambda u: expit(1.5 * np.log(u) - 0.5 * np.log1p(-u) - 0.7)),
        # Of negative weight, left out; what remains is fitted alone.
        ('beta', lambda u: expit(1.5 * np.log(u) + 0.3)),
    ],
)
def test_a_curve_of_the_family_is_found_again(method, curve):
    predicted = np.linspace(0.01, 0.99, 500)
    fitted = fit_iou_calibration(predicted, curve(predicted), method)
    np.testing.assert_allclose(fitted(predicted), curve(predicted), atol=3e-3)


def test_beta_leaves_out_what_would_make_it_fall():
    predicted = np.linspace(0.01, 0.99, 500)
    # Falls again towards 1.
    true = expit(2 * np.log(predicted) + 0.8 * np.log1p(-predicted))
    fitted = fit_iou_calibration(predicted, true, 'beta')
    assert (np.diff(fitted.values) > 0).all()


@pytest.mark.parametrize('method', METHODS)
def test_calibration_error_falls_on_images_held_out(method):
    predicted, true = too_high()
    calibrated = held_out_calibration(predicted, true, np.arange(4000) // 40, method)
    before = expected_calibration_error(predicted, true)
    assert before > 0.1
    assert expected_calibration_error(calibrated, true) < 0.25 * before


@settings(max_examples=30)
@given(
    method=st.sampled_from(METHODS),
    pairs=st.lists(st.tuples(*[st.floats(0, 1, width=32)] * 2), min_size=2, max_size=30),
)
def test_every_map_rises_within_its_domain_or_is_refused(method, pairs):
    predicted, true = np.array(pairs).T
    try:
        fitted = fit_iou_calibration(predicted, true, method)
    except ValueError as error:
        assert 'does not rise' in str(error)  # noqa: PT017  (a property: either of two outcomes)
        return
    assert fitted.knots[0] == 0
    assert fitted.knots[-1] == 1
    assert (np.diff(fitted.knots.astype(np.float32)) > 0).all()
    assert (np.diff(fitted.values) >= MIN_SLOPE * np.diff(fitted.knots) - 1e-12).all()
    assert 0 <= fitted.values[0] < fitted.values[-1] <= 1


def test_held_out_images_are_not_seen():
    predicted, true = too_high(200)
    image = np.repeat(['a', 'b'], 100)
    calibrated = held_out_calibration(predicted, true, image)
    alone = fit_iou_calibration(predicted[:100], true[:100])
    np.testing.assert_array_equal(calibrated[100:], alone(predicted[100:]))


@pytest.mark.parametrize('method', METHODS)
def test_a_prediction_that_falls_as_the_truth_rises_is_refused(method):
    predicted, true = too_high(100)
    with pytest.raises(ValueError, match='does not rise'):
        fit_iou_calibration(1 - predicted, true, method)


@pytest.mark.parametrize(
    ('predicted', 'true', 'words'),
    [
        ([0.1], [0.2], '1 detections'),
        ([0.1, 0.2], [0.2], 'same length'),
        ([0.1, 1.2], [0.2, 0.3], 'outside'),
        ([0.1, 0.2], [0.2, float('nan')], 'outside'),
    ],
)
def test_what_cannot_be_fitted_is_refused(predicted, true, words):
    with pytest.raises(ValueError, match=words):
        fit_iou_calibration(predicted, true)


def test_unknown_method():
    with pytest.raises(ValueError, match='isotonic, platt, beta'):
        fit_iou_calibration([0.1, 0.2], [0.1, 0.2], 'temperature')


def test_one_image_cannot_be_held_out():
    with pytest.raises(ValueError, match='1 images'):
        held_out_calibration([0.1, 0.2], [0.1, 0.2], [7, 7])


@pytest.mark.parametrize('method', METHODS)
def test_without_scikit_learn_it_says_so(monkeypatch, method):
    for name in ('sklearn', 'sklearn.isotonic', 'sklearn.linear_model'):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"pip install 'scikit-learn"):
        fit_iou_calibration([0.1, 0.2, 0.4], [0.1, 0.2, 0.3], method)
