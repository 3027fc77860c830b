"""Trainings and tests of tiny runs: their records, and what happens when something stops them."""

import json
import math
from multiprocessing import Pipe
from unittest.mock import Mock

import pytest
import torch
from mmengine.hooks import LoggerHook
from mmengine.runner import get_priority

from msrcnn_plugin.studies import (
    carry_out,
    carrying_out,
    prepare,
    read_records,
    read_study,
    records,
)
from msrcnn_plugin.studies.carrying_out import do_next_stage
from msrcnn_plugin.studies.training import PeakMemoryHook, newest_checkpoint

from ..tiny_study import KINDS, stops_once, write_study

PROVENANCE = dict(commit='abc', command='it')


def prepared(path, work_dir, options=None):
    runs = read_study(path, work_dir, options).runs
    prepare(runs)
    return runs


def test_each_run_leaves_a_record_of_all_figures(tmp_path, no_children):
    runs = prepared(write_study(tmp_path, *KINDS), tmp_path / 'work')
    seen = []
    assert carry_out(runs, provenance=PROVENANCE, notify=seen.append) == {}
    assert no_children == [(run.label, stage) for run in runs for stage in ('train', 'test')]
    trained = [(p.iteration, p.iterations) for p in seen if p.stage == 'train' and p.iterations]
    assert trained[0] == (1, 2)
    assert [p.run.name for p in seen if p.stage == 'done'] == list(KINDS)
    plain, stock, ours = read_records(runs)
    for record in (plain, stock, ours):
        assert {'bbox_mAP', 'segm_mAP', 'segm_mAP_oracle', 'segm_mAP_75'} <= set(record['figures'])
        assert record['figures']['seconds_per_iter'] > 0
        assert record['figures']['peak_memory'] > 2**20
        assert record['figures']['test_peak_memory'] > 2**20
        assert (record['commit'], record['command']) == ('abc', 'it')
    assert plain['gain'] == {}
    assert 'segm_mAP_iou' not in plain['figures']
    # Tested with the plugin's head, mmdet's MS R-CNN has all of it.
    for record in (stock, ours):
        assert {'segm_mAP_iou', 'segm_mAP_cls', 'mask_iou_ece'} <= set(record['figures'])
        expected = record['figures']['segm_mAP'] - record['figures']['segm_mAP_cls']
        assert record['gain']['gain'] == pytest.approx(expected, abs=1e-9)
    assert (ours['title'], ours['paper']) == ('ours', 'section 3.2')
    # What is done is not done again.
    assert carry_out(runs, provenance=PROVENANCE) == {}
    assert len(no_children) == 6


def test_interrupted_it_goes_on_at_the_last_checkpoint(tmp_path, no_children):
    path, notes = write_study(tmp_path, 'plugin'), tmp_path / 'epochs'
    runs = prepared(path, tmp_path / 'work', stops_once(notes, 'interrupt'))
    with pytest.raises(KeyboardInterrupt):
        carry_out(runs, provenance=PROVENANCE)
    (run,) = runs
    assert newest_checkpoint(run.train_folder).name == 'epoch_1.pth'
    assert not run.trained_file.exists()
    assert carry_out(runs, provenance=PROVENANCE) == {}
    assert notes.read_text() == '011'
    assert json.loads(run.trained_file.read_text())['checkpoint'] == 'epoch_2.pth'
    # A test that is lost is done again, from the same weights.
    (before,) = read_records(runs)
    assert before['training'] == PROVENANCE
    run.record_file.unlink()
    assert carry_out(runs, provenance={**PROVENANCE, 'commit': 'def'}) == {}
    assert read_records(runs) == [{**before, 'commit': 'def'}]
    assert notes.read_text() == '011'


def test_a_run_that_fails_ends_no_other(tmp_path, no_children):
    wrong = dict(base='plugin.py', changes={'optim_wrapper.optimizer.type': 'None'})
    path = write_study(tmp_path, runs=dict(wrong=wrong, right='mask_rcnn.py'))
    runs = prepared(path, tmp_path / 'work')
    seen = []
    failures = carry_out(runs, provenance=PROVENANCE, notify=seen.append)
    assert list(failures) == ['wrong, seed 0']
    assert 'log.txt' in failures['wrong, seed 0']
    assert [record['run'] for record in read_records(runs)] == ['right']
    assert {p.run.name: p.stage for p in seen} == dict(wrong='failed', right='done')


def test_a_failure_without_a_word_is_not_begun_again(tmp_path, monkeypatch, no_children):
    runs = prepared(write_study(tmp_path, 'plugin'), tmp_path / 'work')

    def fail(*args):
        if len(no_children) > 1:
            pytest.fail('begun again')
        raise OSError

    monkeypatch.setattr(carrying_out, 'do_next_stage', fail)
    assert list(carry_out(runs, provenance=PROVENANCE)) == ['plugin, seed 0']


def test_a_run_whose_inputs_changed_while_others_ran_fails(tmp_path, no_children):
    (run,) = runs = prepared(write_study(tmp_path, 'plugin'), tmp_path / 'work')
    noted = json.loads((run.folder / 'inputs.json').read_text())
    noted['code']['models'] = 'of an hour ago'
    (run.folder / 'inputs.json').write_text(json.dumps(noted))
    (failure,) = carry_out(runs, provenance=PROVENANCE).values()
    assert 'Changed: code.models (plugin, seed 0)' in failure
    assert not run.is_begun


def test_where_nobody_listens_any_more_the_training_ends(tmp_path):
    (run,) = prepared(write_study(tmp_path, 'mask_rcnn'), tmp_path / 'work')
    here, there = Pipe(duplex=False)
    here.close()
    with pytest.raises(BrokenPipeError):
        do_next_stage(there, run, PROVENANCE)
    assert not run.trained_file.exists()


def test_the_peak_of_memory_is_that_of_all_iterations(monkeypatch):
    # mmengine's logger has CUDA count anew.
    counted = iter([2.0, 5.0, 3.0])
    monkeypatch.setattr(torch.cuda, 'max_memory_allocated', lambda: next(counted))
    runner = Mock()
    runner.model.parameters = lambda: iter([Mock(is_cuda=True)])
    hook = PeakMemoryHook()
    assert math.isnan(hook.peak)
    for place in range(3):
        hook.after_train_iter(runner, place)
    assert hook.peak == 5.0
    assert get_priority(hook.priority) < get_priority(LoggerHook.priority)


def test_scores_that_replaced_the_class_scores_have_no_gain_over_them():
    assert records.mask_score_gain(Mock(writes_mask_scores=True)) == {}


def test_the_newest_checkpoint_is_found_after_a_move(tmp_path):
    assert newest_checkpoint(tmp_path) is None
    (tmp_path / 'last_checkpoint').write_text('/elsewhere/epoch_3.pth\n')
    assert newest_checkpoint(tmp_path) is None
    (tmp_path / 'epoch_3.pth').write_bytes(b'')
    assert newest_checkpoint(tmp_path) == tmp_path / 'epoch_3.pth'


def test_provenance_names_what_made_the_figures(monkeypatch):
    found = records.provenance('the command', 2)
    assert found['command'] == 'the command'
    assert found['jobs'] == 2
    assert {'torch', 'mmdet', 'mmcv', 'mmengine'} <= set(found['versions'])
    monkeypatch.setattr(records.subprocess, 'run', lambda *a, **k: (_ for _ in ()).throw(OSError))
    assert records.commit() is None
