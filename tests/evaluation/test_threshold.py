import numpy as np
import pytest

from msrcnn_plugin.evaluation.threshold import bad_mean_p_values, find_threshold


def draw(rng, images, masks=12):
    """Masks of images that differ in difficulty, whose scores know part of their IoU."""
    image = np.repeat(np.arange(images), masks)
    difficulty = rng.beta(2, 5, images)[image]
    true_iou = np.clip(1 - difficulty * rng.exponential(0.9, len(image)), 0, 1)
    scores = np.clip(true_iou + rng.normal(0, 0.15, len(image)), 0, 1)
    return scores, true_iou, image


def mean_good_share(scores, true_iou, image, threshold, min_iou=0.7):
    kept = scores >= threshold
    counts = np.bincount(image[kept], minlength=1)
    good = np.bincount(image[kept], weights=true_iou[kept] >= min_iou, minlength=1)
    return (good[counts > 0] / counts[counts > 0]).mean()


def test_no_bad_mask_among_200_images_is_proven_at_every_threshold():
    found = find_threshold(np.full(200, 0.6), np.ones(200), np.arange(200))
    assert found.value == pytest.approx(0.01)
    assert (found.images, found.kept, found.kept_good) == (200, 200, 200)


def test_the_promise_holds_in_95_percent_of_1000_draws():
    rng = np.random.default_rng(0)
    everyone = draw(rng, 100_000)
    true_share = {}
    broken = found = 0
    for _ in range(1000):
        threshold = find_threshold(*draw(rng, 150), good_share=0.8).value
        if np.isnan(threshold):
            continue
        found += 1
        if threshold not in true_share:
            true_share[threshold] = mean_good_share(*everyone, threshold)
        broken += true_share[threshold] < 0.8
    assert found > 900
    assert broken <= 50


def test_masks_that_are_all_bad_have_no_threshold():
    found = find_threshold(np.full(300, 0.9), np.zeros(300), np.arange(300))
    assert not found.found
    assert (found.images, found.kept, found.kept_good) == (0, 0, 0)


def test_images_count_and_not_masks():
    # 5 images prove nothing, however many masks they hold.
    assert not find_threshold(np.ones(5000), np.ones(5000), np.arange(5000) % 5).found


def test_no_masks():
    assert not find_threshold([], [], []).found


def test_the_lowest_proven_threshold_leaves_bad_masks_out():
    image = np.arange(400)
    scores = np.where(image < 300, 0.8, 0.4)
    found = find_threshold(scores, image < 300, image)
    assert 0.4 < found.value <= 0.8
    assert found.kept == found.kept_good == 300


@pytest.mark.parametrize(
    ('mean', 'count', 'expected'),
    # Without a failure the exact binomial chance is 0.9 ** 50; Hoeffding's bound equals it there.
    [(0.0, 50, 0.9**50), (0.1, 50, 1.0), (0.5, 50, 1.0), (0.0, 0, 1.0)],
)
def test_p_value_by_hand(mean, count, expected):
    assert bad_mean_p_values(np.array([mean]), np.array([count]), 0.1) == pytest.approx(expected)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(min_iou=1.0), 'min_iou is 1.0'),
        (dict(good_share=0), 'good_share is 0'),
        (dict(confidence=95), 'confidence is 95'),
        (dict(true_iou=[1.0]), '2 scores, 1 true IoUs and 2 images'),
        (dict(scores=[0.5, np.nan]), 'outside'),
        (dict(scores=[0.5, 1.5]), 'outside'),
    ],
)
def test_wrong_arguments(changes, message):
    given = dict(scores=[0.5, 0.6], true_iou=[1.0, 1.0], image=['a', 'b'])
    with pytest.raises(ValueError, match=message):
        find_threshold(**{**given, **changes})
