import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binned_statistic

from msrcnn_plugin.evaluation.reliability import (
    correlation,
    expected_calibration_error,
    iou_error,
    joint_density,
    reliability_curve,
)

unit = st.floats(0, 1, allow_nan=False)
pairs_of_vectors = st.lists(st.tuples(unit, unit), min_size=1, max_size=40)


def test_errors_by_hand():
    error = iou_error([0.5, 0.7, 0.9], [0.7, 0.7, 0.5])
    assert error.count == 3
    assert error.mae == pytest.approx(0.2)
    assert error.rmse == pytest.approx(math.sqrt((0.04 + 0.16) / 3))
    assert error.spearman == pytest.approx(-math.sqrt(3) / 2)  # ranks 1 2 3 against 2.5 2.5 1


def test_no_detections_leave_everything_undefined():
    error = iou_error([], [])
    assert error.count == 0
    assert all(map(math.isnan, (error.mae, error.rmse, error.pearson, error.spearman)))
    assert math.isnan(expected_calibration_error([], []))


@pytest.mark.parametrize('constant', [[0.3, 0.3, 0.3], [0.1 + 0.2] * 3])
def test_constant_vector_has_no_correlation(constant):
    error = iou_error(constant, [0.1, 0.2, 0.9])
    assert math.isnan(error.pearson)
    assert math.isnan(error.spearman)
    assert error.mae > 0


def test_one_detection_has_an_error_and_no_correlation():
    error = iou_error([0.4], [0.5])
    assert error.mae == pytest.approx(0.1)
    assert math.isnan(error.pearson)


@given(pairs_of_vectors)
def test_correlation_is_within_its_domain_or_undefined(values):
    first, second = np.array(values).T
    assert math.isnan(correlation(first, second)) or -1 <= correlation(first, second) <= 1


def test_calibration_by_hand():
    # Bin [0.9, 1] holds 0.9 and 1.0: means 0.95 and 0.65. Bin [0.2, 0.3) holds 0.2: 0.2 and 0.6.
    curve = reliability_curve([0.9, 1.0, 0.2], [0.5, 0.8, 0.6])
    assert curve.counts.tolist() == [0, 0, 1, 0, 0, 0, 0, 0, 0, 2]
    assert curve.mean_estimate[9] == pytest.approx(0.95)
    assert curve.mean_true_iou[9] == pytest.approx(0.65)
    assert np.isnan(curve.mean_true_iou[0])
    assert curve.ece == pytest.approx((2 * 0.3 + 1 * 0.4) / 3)


def test_edges_belong_to_the_bin_above_and_one_to_the_last():
    counts = reliability_curve(np.arange(11) / 10, np.zeros(11)).counts
    assert counts.tolist() == [1] * 9 + [2]


def test_perfect_estimates_are_calibrated():
    values = np.linspace(0, 1, 30)
    assert expected_calibration_error(values, values) == pytest.approx(0)


@given(pairs_of_vectors)
def test_ece_lies_between_the_mean_gap_and_the_mean_error(values):
    estimate, true = np.array(values).T
    ece = expected_calibration_error(estimate, true)
    assert abs(np.mean(estimate - true)) - 1e-9 <= ece <= np.mean(np.abs(estimate - true)) + 1e-9


@pytest.mark.parametrize('wrong', [1.1, -0.1, float('nan')])
def test_estimates_outside_their_domain_are_refused(wrong):
    with pytest.raises(ValueError, match=r'1 of 2 estimates lie outside \[0, 1\]'):
        expected_calibration_error([0.5, wrong], [0.5, 0.5])


def test_vectors_of_different_length_are_refused():
    with pytest.raises(ValueError, match=r'shape \(1,\), true IoUs \(2,\)'):
        iou_error([0.5], [0.5, 0.6])


def test_by_hand():
    density = joint_density([0.1, 0.3, 0.9, 1.0], [0.2, 0.4, 0.6, 1.0], bins=2)
    assert density.counts.tolist() == [[2, 0], [0, 2]]
    assert density.mean_estimate == pytest.approx([0.2, 0.95])
    assert density.centres.tolist() == [0.25, 0.75]


def test_the_papers_part_has_both_above_one_half():
    density = joint_density([0.5, 0.6, 0.9], [0.9, 0.5, 0.9], low=0.5, bins=5)
    assert density.total == 1
    assert density.counts[3, 3] + density.counts[4, 4] + density.counts[3, 4] == 1


@pytest.mark.parametrize('score', [1.2, -0.1])
def test_a_score_that_is_no_probability_is_left_out(score):
    density = joint_density([score, 0.4, 0.2], [0.5, 0.5, 0.3])
    assert density.total == 2
    assert density.correlation == pytest.approx(1)


def test_no_detections():
    density = joint_density([], [])
    assert density.total == 0
    assert np.isnan(density.mean_estimate).all()
    assert np.isnan(density.correlation)


@given(arrays(float, (20, 2), elements=unit))
def test_all_are_counted_and_the_means_are_scipys(values):
    estimate, true_iou = values.T
    density = joint_density(estimate, true_iou, bins=4)
    expected = binned_statistic(true_iou, estimate, bins=density.edges).statistic
    assert density.total == 20
    np.testing.assert_allclose(density.mean_estimate, expected, atol=1e-12)
