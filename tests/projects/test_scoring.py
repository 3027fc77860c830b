"""What a study's row gains over another one, from the files that their tests wrote."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from projects.ablations.scoring import PAIRS_NAME, difference, smallest_figures

from ..evaluation.coco_sets import matches_of, random_set


def test_the_difference_of_two_tests_is_that_of_their_mask_ap(tmp_path):
    data, results = random_set(1, images=6, truths=6, detections=30)
    aps = {}
    for name, found in dict(row=results, other=results[::2]).items():
        matches = matches_of(data, found)
        matches = replace(matches, scores=dict(mask_score=matches.true_iou))
        (tmp_path / name).mkdir()
        matches.save(tmp_path / name / PAIRS_NAME)
        aps[name] = matches.rank('mask_score').ap()
    found = difference(tmp_path / 'row', tmp_path / 'other')
    assert found['gain'] == pytest.approx(aps['row'] - aps['other'])
    assert found['low'] < found['gain'] < found['high']
    assert found['images'] == 6


def test_without_the_other_test_there_is_no_difference(tmp_path):
    assert difference(tmp_path, tmp_path / 'other') == {}


def test_the_smallest_quarter_is_measured_by_each_score():
    data, results = random_set(1, images=6, truths=6, detections=30)
    matches = matches_of(data, results)
    perfect = replace(matches, scores=dict(score=-matches.true_iou, mask_score=matches.true_iou))
    figures = smallest_figures(SimpleNamespace(result=SimpleNamespace(matches=perfect)))
    measures = ('AP', 'recall', 'dice', 'alarms')
    assert set(figures) == {f'smallest_{m}_{s}' for m in measures for s in perfect.scores}
    for measure in measures[:3]:
        assert figures[f'smallest_{measure}_mask_score'] >= figures[f'smallest_{measure}_score']
    assert figures['smallest_AP_mask_score'] > figures['smallest_AP_score']
    assert figures['smallest_alarms_mask_score'] < figures['smallest_alarms_score']
