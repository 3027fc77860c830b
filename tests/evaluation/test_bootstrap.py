"""A resample of the images is what COCO would make of a data set that holds them so often."""

import copy
import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msrcnn_plugin.evaluation import bootstrap_gain
from msrcnn_plugin.evaluation.bootstrap import WeightedAP

from .coco_sets import (
    annotation,
    data_set,
    evaluated,
    matches_of,
    random_set,
    rectangle,
    two_masks_one_object,
)


def repeated(data, results, scores, times):
    """The data set with each image ``times[image]`` times, and its results and scores."""
    images, annotations, found, their_scores = [], [], [], []
    copies = [image['id'] for image in data['images'] for _ in range(times[image['id']])]
    for new, old in enumerate(copies, start=1):
        images.append(new)
        annotations += [
            dict(copy.deepcopy(truth), image_id=new)
            for truth in data['annotations']
            if truth['image_id'] == old
        ]
        for result, score in zip(results, scores):
            if result['image_id'] == old:
                found.append(dict(result, image_id=new))
                their_scores.append(score)
    for number, truth in enumerate(annotations, start=1):
        truth['id'] = number
    empty = data_set(images, [], [category['name'] for category in data['categories']])
    return dict(empty, annotations=annotations), found, np.array(their_scores)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), weights=st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_a_weighted_image_counts_as_its_copies_do_in_coco(seed, weights):
    data, results = random_set(seed, images=4)
    # No two scores are equal: among equals COCO goes by the order of the images.
    scores = np.random.default_rng(seed).permutation(len(results)) + 1.0
    matches = matches_of(data, results)
    ap = WeightedAP(matches, scores[matches.result_index], 100)(np.array(weights, dtype=float))
    times = {image: weights[image - 1] for image in range(1, 5)}
    expected = evaluated(*repeated(data, results, scores, times)).stats[0]
    assert ap == pytest.approx(expected, abs=1e-9) or (math.isnan(ap) and expected == -1)


def test_one_image_is_sure_of_its_gain():
    found = bootstrap_gain(two_masks_one_object(), [0.1, 0.9], [0.9, 0.1], resamples=20)
    # Above IoU 0.6 the poor mask halves the precision: 7 of 10 thresholds at 0.5.
    assert found.gain == pytest.approx(0.35)
    assert (found.low, found.high) == pytest.approx((0.35, 0.35))
    assert found.images == 1


def test_only_the_best_detections_of_an_image_count():
    found = bootstrap_gain(two_masks_one_object(), [0.1, 0.9], [0.9, 0.1], max_dets=1, resamples=2)
    # The poor mask alone finds the object at 3 of 10 thresholds, the perfect one at all.
    assert (found.gain, found.low) == pytest.approx((0.7, 0.7))


def test_images_that_disagree_widen_the_interval():
    pairs = two_masks_one_object(images=(1, 2))
    right, wrong = [0.8, 0.7, 0.6, 0.5], [0.7, 0.8, 0.5, 0.6]
    mixed = [0.7, 0.8, 0.6, 0.5]
    sure = bootstrap_gain(pairs, wrong, right, resamples=200)
    assert sure.low > 0
    unsure = bootstrap_gain(pairs, mixed, right, resamples=200)
    assert unsure.low == 0  # drawn twice, the second image gains nothing
    assert unsure.low < unsure.gain < unsure.high


def test_the_same_ranking_gains_nothing():
    data, results = random_set(3, images=4)
    scores = np.linspace(0, 1, len(results))
    found = bootstrap_gain(matches_of(data, results), scores, scores, resamples=10)
    assert (found.gain, found.low, found.high) == (0, 0, 0)


def test_two_tests_of_the_same_images():
    data, results = random_set(1, images=6, truths=6, detections=30)
    ours, theirs = matches_of(data, results), matches_of(data, results[::2])
    scores, baseline = (np.linspace(1, 0, len(each)) for each in (ours, theirs))
    found = bootstrap_gain(ours, scores, baseline, baseline_matches=theirs, resamples=20)
    assert found.gain == pytest.approx(ours.rank(scores).ap() - theirs.rank(baseline).ap())
    assert found.low < found.gain < found.high
    other, _ = random_set(1, images=5)
    with pytest.raises(ValueError, match='the same images'):
        bootstrap_gain(ours, scores, [], baseline_matches=matches_of(other, []))


def test_a_seed_gives_the_same_interval_and_a_wider_level_a_wider_one():
    data, results = random_set(1, images=6, truths=6, detections=30)
    scores, baseline = np.random.default_rng(0).random((2, len(results)))
    pairs = matches_of(data, results)
    first, again = (bootstrap_gain(pairs, scores, baseline, resamples=50) for _ in range(2))
    assert first == again
    assert first.gain == pytest.approx(pairs.rank(scores).ap() - pairs.rank(baseline).ap())
    narrow = bootstrap_gain(pairs, scores, baseline, resamples=50, level=0.5)
    assert first.low < narrow.low < narrow.high < first.high


def test_without_objects_or_without_anything_it_is_undefined():
    for data, results in (random_set(7, images=2, truths=0), (data_set(), [])):
        scores = np.zeros(len(results))
        found = bootstrap_gain(matches_of(data, results), scores, scores, resamples=5)
        assert all(math.isnan(value) for value in (found.gain, found.low, found.high))


def test_no_detections_gain_nothing():
    data, _ = random_set(6, images=2, truths=4)
    found = bootstrap_gain(matches_of(data, []), [], [], resamples=5)
    assert (found.gain, found.low, found.high) == (0, 0, 0)


def test_a_crowd_is_no_object_to_be_found():
    data = data_set([1], [(1, 1, rectangle(0, 0, 40, 40))])
    data['annotations'].append(annotation(2, 1, 1, rectangle(60, 60, 40, 40), crowd=1))
    results = [dict(image_id=1, category_id=1, segmentation=rectangle(0, 0, 40, 40), score=0.5)]
    ap = WeightedAP(matches_of(data, results), np.ones(1), 100)(np.ones(1))
    assert ap == pytest.approx(1)


def test_pairs_of_an_older_file_say_what_to_do():
    pairs = two_masks_one_object()
    old = dataclasses.replace(pairs, gt_image=np.full(1, -1))
    with pytest.raises(ValueError, match='test the model again'):
        bootstrap_gain(old, [1, 2], [2, 1])
    with pytest.raises(ValueError, match='test the model again'):
        bootstrap_gain(pairs, [1, 2], [2, 1], baseline_matches=old)


def test_a_level_that_is_none():
    with pytest.raises(ValueError, match='between 0 and 1'):
        bootstrap_gain(two_masks_one_object(), [1, 2], [2, 1], level=95)
