import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from msrcnn_plugin.geometry import detection_numbers as dn


def column(names, table, name):
    return np.asarray(table)[..., names.index(name)]


def detections(seed, count, kind=np.asarray):
    """Random masks on 12 x 16 pixels, some of them empty or equal; scores may tie."""
    rng = np.random.default_rng(seed)
    x1, y1 = rng.integers(0, 16, count), rng.integers(0, 12, count)
    boxes = np.stack([x1, y1, x1 + rng.integers(0, 9, count), y1 + rng.integers(0, 9, count)], 1)
    rows, columns = np.arange(12)[:, None], np.arange(16)
    masks = np.array(
        [(columns >= a) & (columns < c) & (rows >= b) & (rows < d) for a, b, c, d in boxes],
        dtype=bool,
    ).reshape(count, 12 * 16)
    shared = (masks[:, None] & masks[None]).sum(2)
    return dict(
        scores=kind(rng.choice([0.0, 0.3, 0.6, 0.9, 1.0], count)),
        boxes=kind(boxes.astype(float)),
        areas=kind(masks.sum(1).astype(float)),
        intersections=kind(shared.astype(float)),
        labels=kind(rng.integers(0, 2, count)),
    )


def all_numbers(scores, boxes, areas, intersections, labels):
    alone = dn.detection_numbers(scores, boxes, areas, (12, 16))
    pairs = dn.pair_numbers(intersections, areas, scores, labels)
    return (
        alone,
        pairs,
        *(dn.neighbour_numbers(pairs, alone[:, :2], same_class=same) for same in (True, False)),
    )


def test_a_detection_by_hand():
    boxes = np.array([[0, 2, 4, 4], [4, 4, 12, 6], [5, 5, 5, 5.0]])
    table = dn.detection_numbers(np.array([0.8, 0.6, 0.0]), boxes, np.array([4, 16, 0.0]), (10, 20))
    expected = dict(
        score_logit=np.log([4, 1.5, 1e-6 / (1 - 1e-6)]),
        box_fill=[0.5, 1, 0],
        log_mask_area=np.log([4, 16, 1]),
        log_box_area=np.log([8, 16, 1]),
        log_aspect=np.log([2, 4, 1]),
        touches_border=[1, 0, 0],
        log_relative_area=np.log([0.5, 2, 1 / 8]),  # the median of ln 4 and ln 16 is ln 8
        log_count=np.log([4, 4, 4]),
        log_confident_count=np.log([3, 3, 3]),
    )
    assert tuple(expected) == dn.DETECTION_NUMBERS
    for name, values in expected.items():
        np.testing.assert_allclose(column(dn.DETECTION_NUMBERS, table, name), values, atol=1e-12)


def test_without_a_confident_detection_the_median_is_that_of_all():
    areas = np.array([1, 4, 100.0])
    table = dn.detection_numbers(np.full(3, 0.1), np.zeros((3, 4)), areas, (10, 10))
    relative = column(dn.DETECTION_NUMBERS, table, 'log_relative_area')
    np.testing.assert_allclose(relative, np.log([0.25, 1, 25]))


def test_soft_masks_by_hand():
    probs = np.array([[[0.6, 0.8], [0.4, 0.1]], [[0, 0], [0, 0]]])
    np.testing.assert_allclose(dn.soft_numbers(probs), [[0.7, 0.1, 2 / 3], [0, 0, 0]])


def test_pairs_by_hand():
    shared = np.array([[10, 5, 0], [5, 20, 0], [0, 0, 0.0]])
    table = dn.pair_numbers(
        shared, np.array([10, 20, 0.0]), np.array([0.5, 0.7, 0.5]), np.array([1, 1, 2])
    )
    expected = dict(
        mask_iou=[[1, 0.2, 0], [0.2, 1, 0], [0, 0, 0]],
        covered=[[1, 0.5, 0], [0.25, 1, 0], [0, 0, 0]],
        covering=[[1, 0.25, 0], [0.5, 1, 0], [0, 0, 0]],
        same_class=[[1, 1, 0], [1, 1, 0], [0, 0, 1]],
        better_scored=[[0, 1, 0], [0, 0, 0], [0, 1, 0]],
    )
    assert tuple(expected) == dn.PAIR_NUMBERS
    for name, values in expected.items():
        np.testing.assert_allclose(column(dn.PAIR_NUMBERS, table, name), values)


def test_neighbours_by_hand():
    # Detection 0 overlaps 1 (better), 2 (worse) and 3 (better, of another class).
    shared = np.array([[10, 5, 8, 5], [5, 10, 0, 0], [8, 0, 10, 0], [5, 0, 0, 10.0]])
    scores, areas = np.array([0.5, 0.7, 0.2, 0.9]), np.full(4, 10.0)
    pairs = dn.pair_numbers(shared, areas, scores, np.array([0, 0, 0, 1]))
    same, other = (
        dn.neighbour_numbers(pairs, np.array([[1.0], [2], [3], [-4]]), same_class=which)
        for which in (True, False)
    )
    third, two_thirds = 5 / 15, 8 / 12
    np.testing.assert_allclose(
        same[0], [two_thirds, third, third, np.log(3), 0.8, np.log(2), 2], atol=1e-12
    )
    # Detection 2 is the worst of its class, and only 0 overlaps it.
    np.testing.assert_allclose(
        same[2], [two_thirds, two_thirds, two_thirds, np.log(2), 0.8, np.log(3), 1], atol=1e-12
    )
    np.testing.assert_allclose(
        other[0], [third, third, third, np.log(2), 0.5, np.log(2), -4], atol=1e-12
    )
    np.testing.assert_allclose(same[3], np.zeros(7), atol=1e-12)


def test_of_equal_scores_none_is_better():
    pairs = dn.pair_numbers(np.full((2, 2), 4.0), np.full(2, 4.0), np.full(2, 0.5), np.zeros(2))
    table = dn.neighbour_numbers(pairs, np.ones((2, 1)))
    np.testing.assert_allclose(table, [[1, 0, 0, np.log(2), 1, 0, 0]] * 2)


@pytest.mark.parametrize('kind', [np.asarray, torch.as_tensor])
def test_of_no_detection(kind):
    alone, pairs, same, other = all_numbers(**detections(0, 0, kind))
    assert tuple(alone.shape) == (0, len(dn.DETECTION_NUMBERS))
    assert tuple(pairs.shape) == (0, 0, len(dn.PAIR_NUMBERS))
    assert tuple(same.shape) == tuple(other.shape) == (0, len(dn.NEIGHBOUR_NUMBERS) + 2)
    assert tuple(dn.soft_numbers(kind(np.zeros((0, 4, 4)))).shape) == (0, len(dn.SOFT_NUMBERS))


@settings(max_examples=40)
@given(st.integers(0, 2**31), st.integers(0, 9))
def test_torch_equals_numpy_and_all_is_finite(seed, count):
    for array, tensor in zip(
        all_numbers(**detections(seed, count)),
        all_numbers(**detections(seed, count, torch.as_tensor)),
    ):
        assert np.isfinite(array).all()
        np.testing.assert_allclose(tensor.numpy(), array, atol=1e-12)


@settings(max_examples=40)
@given(st.integers(0, 2**31), st.integers(1, 9))
def test_permuted_detections_permute_their_numbers(seed, count):
    given_ = detections(seed, count)
    order = np.random.default_rng(seed).permutation(count)
    moved = {name: values[order] for name, values in given_.items()}
    moved['intersections'] = moved['intersections'][:, order]
    alone, pairs, *neighbours = all_numbers(**given_)
    new_alone, new_pairs, *new_neighbours = all_numbers(**moved)
    np.testing.assert_allclose(new_alone, alone[order], atol=1e-12)
    np.testing.assert_allclose(new_pairs, pairs[order][:, order], atol=1e-12)
    for new, old in zip(new_neighbours, neighbours):
        np.testing.assert_allclose(new, old[order], atol=1e-12)


def test_single_precision_stays():
    given_ = {
        name: values.float() if values.is_floating_point() else values
        for name, values in detections(3, 5, torch.as_tensor).items()
    }
    assert {table.dtype for table in all_numbers(**given_)} == {torch.float32}


def test_numpy_needs_no_torch():
    code = (
        'import sys, numpy as np\n'
        'sys.modules["torch"] = None\n'
        'from msrcnn_plugin.geometry import detection_numbers as dn\n'
        'print(dn.pair_numbers(np.eye(2), np.ones(2), np.ones(2), np.ones(2)).shape)\n'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == '(2, 2, 5)'
