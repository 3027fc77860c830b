"""Mean and spread over seeds, by hand, and the form of the results file."""

import json
import math

import pytest

from msrcnn_plugin.studies import Spread, add_to_results, spreads, summarised


def record(run, seed, gain=None, **figures):
    return dict(run=run, seed=seed, figures=figures, gain=gain or {}, commit='abc', command='it')


RECORDS = [
    record('mask_rcnn', 0, bbox_mAP=0.25, segm_mAP=0.5, parameters=7.0),
    record('plugin', 0, dict(gain=0.01), bbox_mAP=0.25, mask_iou_pearson=0.5, mask_iou_ece=None),
    record('mask_rcnn', 1, bbox_mAP=0.75, segm_mAP=0.5, parameters=7.0),
    record('plugin', 1, dict(gain=0.03), bbox_mAP=0.25, mask_iou_pearson=None, mask_iou_ece=None),
]


def test_spreads_by_hand():
    found = spreads(RECORDS)
    assert list(found) == ['mask_rcnn', 'plugin']
    assert found['mask_rcnn']['bbox_mAP'] == Spread(0.5, math.sqrt(0.125), 2)
    assert found['mask_rcnn']['segm_mAP'] == Spread(0.5, 0.0, 2)
    assert found['plugin']['gain'].mean == pytest.approx(0.02)
    # Undefined with one of the seeds; with both.
    assert found['plugin']['mask_iou_pearson'] == Spread(0.5, None, 1)
    assert 'mask_iou_ece' not in found['plugin']
    assert 'gain' not in found['mask_rcnn']


def test_times_of_trainings_beside_more_or_fewer_others_are_no_mean():
    alone, tested_alone, beside = (
        {**record('plugin', seed, bbox_mAP=0.5, seconds_per_iter=1.0), **made}
        for seed, made in enumerate(
            [dict(jobs=1), dict(jobs=2, training=dict(jobs=1)), dict(jobs=1, training=dict(jobs=2))]
        )
    )
    assert spreads([alone, tested_alone])['plugin']['seconds_per_iter'].seeds == 2
    assert list(spreads([alone, beside])['plugin']) == ['bbox_mAP']


def test_no_records():
    assert spreads([]) == summarised([]) == {}


def test_summary_has_the_figures_of_a_results_file_alone():
    assert summarised(RECORDS)['mask_rcnn'] == {
        'bbox_mAP': dict(mean=0.5, std=math.sqrt(0.125), seeds=2),
        'segm_mAP': dict(mean=0.5, std=0.0, seeds=2),
    }


def test_sizes_stand_side_by_side_and_a_second_call_replaces_its_own(tmp_path):
    path = tmp_path / 'new' / 'results.json'
    add_to_results(path, 'gpu', RECORDS[:2])
    add_to_results(path, 'cpu', RECORDS)
    runs_path = add_to_results(path, 'gpu', RECORDS)
    results, runs = (json.loads(file.read_text()) for file in (path, runs_path))
    assert set(results) == {'cpu', 'gpu'}
    assert results['gpu'] == results['cpu'] == json.loads(json.dumps(summarised(RECORDS)))
    assert runs['cpu'] == runs['gpu'] == RECORDS
    assert runs_path.name == 'results.runs.json'


@pytest.mark.parametrize('name', ['results.json', 'results.runs.json'])
@pytest.mark.parametrize('text', ['{', '[]'])
def test_a_broken_file_is_told_by_its_name_and_nothing_is_written(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=f'{name} .*: restore it, or delete it'):
        add_to_results(tmp_path / 'results.json', 'cpu', RECORDS)
    assert [file.name for file in tmp_path.iterdir()] == [name]
