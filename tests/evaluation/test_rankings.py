"""Every ranking against pycocotools run separately with the same scores."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as mask_utils

from msrcnn_plugin.evaluation.rankings import precision_at_recall
from msrcnn_plugin.evaluation.shared_iou_eval import SharedIoUEval

from ..coco_folder import find_coco_tiny
from .coco_sets import api, data_set, evaluated, matches_of, random_set, rectangle


def check_against_coco(data, results, scores, max_dets=(100, 300, 1000)):
    """Under ``scores`` the matches give what pycocotools gives when it starts again."""
    expected = evaluated(data, results, scores, max_dets)
    stats = np.where(expected.stats < 0, np.nan, expected.stats)
    for matches in (
        matches_of(data, results, max_dets),
        evaluated(data, results, max_dets=max_dets, evaluator=SharedIoUEval).matches,
    ):
        ranked = matches.rank(scores[matches.result_index])
        for name in ('precision', 'recall'):
            np.testing.assert_allclose(
                getattr(ranked, name), expected.eval[name], rtol=0, atol=1e-9
            )
        figures = [*ranked.figures().values(), *ranked.recalls().values()]
        np.testing.assert_allclose(figures, stats, rtol=0, atol=1e-9)
    return ranked


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    images=st.integers(1, 4),
    truths=st.integers(0, 6),
    detections=st.integers(0, 15),
    crowd=st.sampled_from([0, 0.3, 1]),
    max_dets=st.sampled_from([(100, 300, 1000), (1, 2, 100), (1, 2, 4)]),
    digits=st.sampled_from([0, 1, 6]),
)
def test_equals_coco(seed, images, truths, detections, crowd, max_dets, digits):
    data, results = random_set(seed, images, truths, detections, crowd=crowd)
    scores = np.random.default_rng(seed).random(len(results)).round(digits)
    check_against_coco(data, results, scores, max_dets)


@pytest.mark.parametrize('seed', range(3))
def test_more_than_a_hundred_detections_of_a_class(seed):
    data, results = random_set(seed, images=1, truths=12, detections=200, classes=1)
    results = [dict(result) for result in (results * 200)[:200]]
    assert results
    scores = np.random.default_rng(seed).random(len(results)).round(2)
    check_against_coco(data, results, scores)


def test_the_hundred_and_first_detection_does_not_count():
    mask = rectangle(0, 0, 40, 40)
    results = [dict(image_id=1, category_id=1, segmentation=rectangle(60, 60, 9, 9), score=0.5)]
    results = [dict(result) for result in results * 100]
    results.append(dict(image_id=1, category_id=1, segmentation=mask, score=0.5))
    ranked = check_against_coco(data_set([1], [(1, 1, mask)]), results, np.linspace(1, 0, 101))
    assert ranked.ap(max_dets=100) == 0
    assert ranked.ap(max_dets=1000) == pytest.approx(1 / 101)


def test_all_scores_equal():
    data, results = random_set(4, images=4, truths=5, detections=20)
    check_against_coco(data, results, np.full(len(results), 0.5))


def test_ground_truth_with_id_zero():
    data, results = random_set(5, images=3, truths=5, detections=20, crowd=0)
    for annotation in data['annotations']:
        annotation['id'] -= 1
    check_against_coco(data, results, np.linspace(0, 1, len(results)))


def test_no_detections():
    data, _ = random_set(6, images=2, truths=4)
    assert check_against_coco(data, [], np.zeros(0)).ap() == 0


def test_no_ground_truth():
    data, results = random_set(7, images=2, truths=0)
    assert math.isnan(check_against_coco(data, results, np.zeros(len(results))).ap())


def test_no_images():
    assert math.isnan(check_against_coco(data_set(), [], np.zeros(0)).ap())


def test_without_a_limit_of_100_the_main_figure_is_undefined():
    data, results = random_set(8)
    ranked = check_against_coco(data, results, np.linspace(0, 1, len(results)), (1, 2, 50))
    assert math.isnan(ranked.ap())
    assert ranked.ap(max_dets=50) >= 0


def two_masks_one_object():
    """A poor and a perfect mask of one object, in another order of scores each time."""
    data = data_set([1], [(1, 1, rectangle(0, 0, 40, 40))])
    boxes = (rectangle(0, 0, 40, 24), rectangle(0, 0, 40, 40))
    results = [{'image_id': 1, 'category_id': 1, 'segmentation': b, 'score': 0.5} for b in boxes]
    return data, results


def test_ranking_the_better_mask_first_is_worth_ap():
    data, results = two_masks_one_object()
    poor_first = check_against_coco(data, results, np.array([0.9, 0.8]))
    best_first = check_against_coco(data, results, np.array([0.8, 0.9]))
    # The poor mask has IoU 0.6: right at 0.5, 0.55 and 0.6; above it the second one is found late.
    assert poor_first.ap() == pytest.approx((3 * 1 + 7 * 0.5) / 10)
    assert best_first.ap() == pytest.approx(1)
    assert best_first.ap_by_iou() == pytest.approx(np.ones(10))
    assert poor_first.ap(iou=0.75) == pytest.approx(0.5)


def test_figures_of_one_category():
    data, results = random_set(9, images=4, truths=6, detections=30)
    scores = np.linspace(0, 1, len(results))
    ranked = check_against_coco(data, results, scores)
    single = dict(data, annotations=[a for a in data['annotations'] if a['category_id'] == 2])
    expected = evaluated(single, results, scores).stats
    assert ranked.figures(2)['_75'] == pytest.approx(expected[2], abs=1e-9)
    assert ranked.figures(2)[''] == pytest.approx(expected[0], abs=1e-9)


def test_precision_without_detections_is_zero():
    nothing = np.zeros((2, 0), dtype=bool)
    precision, recall = precision_at_recall(nothing, nothing, 3, np.array([0.0, 1.0]))
    assert precision.tolist() == [[0, 0]] * 2
    assert recall.tolist() == [0, 0]


def test_real_annotations():
    """Polygons and crowds as COCO has them; the truths of one image serve as its detections."""
    coco_tiny = find_coco_tiny()
    if coco_tiny is None:
        pytest.skip('needs real data: set MSRCNN_TEST_DATA to the folder that holds coco_tiny')
    path = coco_tiny / 'annotations' / 'instances_val.json'

    data = json.loads(path.read_text())
    coco, rng, results = api(data), np.random.default_rng(0), []
    for annotation in coco.dataset['annotations']:
        mask = coco.annToMask(annotation)
        for shift in rng.integers(0, 12, 4):
            rle = mask_utils.encode(np.asfortranarray(np.roll(mask, shift, axis=1)))
            results.append(
                {
                    'image_id': annotation['image_id'],
                    'category_id': annotation['category_id'],
                    'segmentation': {**rle, 'counts': rle['counts'].decode()},
                    'score': 0.5,
                }
            )
    scores = rng.random(len(results)).round(2)
    assert check_against_coco(data, results, scores).ap() > 0
