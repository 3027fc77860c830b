"""The suite that measures what four rankings cost: its data, and that both cases do the work."""

import pytest
from pycocotools.cocoeval import COCOeval

from tools.benchmarking.goals import GOALS
from tools.benchmarking.rankings import FourRankings, OneEvaluation, make_result_set, quiet


@pytest.fixture(scope='module')
def result_set():
    return make_result_set((96, 128), objects=4, images=6, detections=20)


def average_precision(result_set, scores):
    """pycocotools' own, ranked by ``scores`` (N,) in the order of the detections' ids."""
    with quiet():
        results = [
            dict(result, score=float(scores[result['id'] - 1]))
            for result in result_set.found.dataset['annotations']
        ]
        found = result_set.truth.loadRes(results)
        evaluation = COCOeval(result_set.truth, found, 'segm')
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats[0]


def figures(case, result_set):
    return case.run(*case.inputs(result_set))


def test_a_result_set_has_the_sizes_asked_for(result_set):
    assert len(result_set.truth.imgs) == 6
    assert len(result_set.truth.anns) == 6 * 4
    assert len(result_set.found.anns) == 6 * 20
    assert result_set.class_scores.shape == result_set.mask_ious.shape == (120,)


def test_the_same_arguments_give_the_same_set(result_set):
    again = make_result_set((96, 128), objects=4, images=6, detections=20)
    assert again.found.dataset['annotations'] == result_set.found.dataset['annotations']


def test_masks_are_found_better_and_worse(result_set):
    assert 0.01 < figures(OneEvaluation(), result_set)['segm_mAP'] < 0.9


def test_the_four_rankings_are_those_of_pycocotools(result_set):
    found = figures(FourRankings(), result_set)
    mask, cls, iou, oracle = (found[f'segm_mAP{name}'] for name in ('', '_cls', '_iou', '_oracle'))
    by_class, by_iou = result_set.class_scores, result_set.mask_ious
    # CocoMetric cuts its figures to three digits.
    assert figures(OneEvaluation(), result_set)['segm_mAP'] == pytest.approx(mask, abs=6e-4)
    for ap, scores in ((mask, by_class * by_iou), (cls, by_class), (iou, by_iou)):
        assert ap == pytest.approx(average_precision(result_set, scores), abs=1e-9)
    assert oracle > max(mask, cls, iou)
    assert len({mask, cls, iou}) == 3


def test_the_goal_reads_the_ratio_of_the_two():
    (goal,) = (goal for goal in GOALS if 'four rankings' in goal.text)
    times = dict(one_evaluation=[1.0, 2.0], four_rankings=[1.2, 2.4])
    cases = {name: dict(seconds=seconds) for name, seconds in times.items()}
    assert goal.figure(dict(suites=dict(rankings=dict(masks=cases)))) == pytest.approx(1.2)
    assert goal.figure(dict(suites={})) is None
    assert goal.bounds['cpu'] == 1.3
