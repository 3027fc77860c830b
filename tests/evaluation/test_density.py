"""Counts of true IoU against an estimate."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binned_statistic, pearsonr

from msrcnn_plugin.evaluation import joint_density

UNIT = st.floats(0, 1)


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


@given(arrays(float, (20, 2), elements=UNIT))
def test_all_are_counted_and_the_means_are_scipys(values):
    estimate, true_iou = values.T
    density = joint_density(estimate, true_iou, bins=4)
    expected = binned_statistic(true_iou, estimate, bins=density.edges).statistic
    assert density.total == 20
    np.testing.assert_allclose(density.mean_estimate, expected, atol=1e-12)


def test_correlation_is_scipys():
    rng = np.random.default_rng(0)
    estimate, true_iou = rng.random((2, 50))
    kept = (estimate > 0.5) & (true_iou > 0.5)
    density = joint_density(estimate, true_iou, low=0.5)
    assert density.correlation == pytest.approx(pearsonr(estimate[kept], true_iou[kept])[0])
