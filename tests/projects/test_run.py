"""The runner on tiny models: train, resume, test, record, compare, refuse."""

import json
import re
import shlex
import sys

import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from msrcnn_plugin.files import read_json
from projects.ablations import run as runner
from projects.ablations.records import (
    provenance,
    read_records,
    require_comparable,
    write_records,
)
from projects.ablations.study import Row, Study
from projects.ablations.table import STUDIES

from ..documents import REPOSITORY, blocks
from ..tiny_set import add_copies
from ..tiny_study import write_study

ABLATIONS = REPOSITORY / 'docs' / 'results' / 'ablations.md'


@pytest.fixture
def trained(monkeypatch):
    """Trainings are done in this process; the words of each call of ``mim``."""
    calls = []

    def mim(words, log):
        calls.append(words)
        cfg = Config.fromfile(words[2])
        cfg.work_dir = cfg.experiment_name = words[4]
        if '--resume' in words:
            cfg.resume, cfg.load_from = True, words[-1]
        Runner.from_cfg(cfg).train()
        return 0

    monkeypatch.setattr(runner, 'mim', mim)
    return calls


@pytest.fixture
def run(tmp_path, capsys):
    """Exit status and all that was printed of a call; records go to ``results.json``."""

    def run(studies, *words):
        words = [*words, '--work-dir', tmp_path / 'work', '--results', tmp_path / 'results.json']
        status = runner.main([str(word) for word in words], studies)
        shown = capsys.readouterr()
        return status, shown.out + shown.err

    return run


def records(folder):
    return {(r['run'], r['seed']): r for r in read_records(folder / 'results.json')}


def in_one_line(shown, *words):
    return len(shown.splitlines()) == 1 and all(word in shown for word in words)


def documented_loop():
    """The studies that docs/results/ablations.md runs, and the runner's words for one of them."""
    (block,) = (code for _, code in blocks(ABLATIONS) if 'run.py' in code)
    names = re.search(r'for study in (.+); do', block)[1].split()
    words = re.search(r'projects/ablations/run\.py (.+)', block)[1]
    return names, lambda study: words.replace('$study', study).split()


def test_heads_are_trained_on_the_trunk_recorded_and_compared(tmp_path, run, trained):
    studies = write_study(tmp_path)
    names, words = documented_loop()
    assert {*names} <= {*STUDIES}
    assert run(studies, *words('heads'))[0] == 0
    assert ['mask_rcnn-0' in words[2] for words in trained] == [True, False, False]
    head, faster = (records(tmp_path)[name, 0] for name in ('head', 'faster'))
    assert {'bbox_mAP', 'segm_mAP', 'mask_iou_pearson', 'seconds_per_iter'} <= set(head['figures'])
    assert head['command'].startswith('python projects/ablations/run.py --study heads')
    assert head['versions'].keys() == {'torch', 'mmengine', 'mmcv', 'mmdet'}
    assert head['training']['commit'] == head['commit']
    assert head['config_hash'] != faster['config_hash']
    assert head['start'] == faster['start'] is not None
    # One trunk: the same masks under other scores.
    assert head['figures']['bbox_mAP'] == faster['figures']['bbox_mAP']
    assert 'difference' not in head
    gain = faster['figures']['segm_mAP'] - head['figures']['segm_mAP']
    assert faster['difference']['run'] == 'head'
    assert faster['difference']['gain'] == pytest.approx(gain, abs=1e-9)
    # What is recorded is not done again.
    before = (tmp_path / 'results.json').read_text()
    assert run(studies, '--study', 'heads') == (0, _said(tmp_path, 2, 0))
    assert len(trained) == 3
    assert (tmp_path / 'results.json').read_text() == before


def _said(folder, runs, new):
    return f'{runs} runs: {new} new, 0 failed; the records are in {folder / "results.json"}\n'


def test_a_fitted_study_adds_mask_scores_to_the_trained_model(tmp_path, run, trained):
    pytest.importorskip('sklearn', reason='scikit-learn, which fits calibrations, is missing')
    (row, _), data = write_study(tmp_path)['models'].rows, add_copies(tmp_path / 'set', 3)
    study = Study('fitted', 'Fitted', 'tiny', (row,), fit=dict(steps=2, held_out=0.2))
    assert run({'fitted': study}, '--study', 'fitted')[0] == 0
    record = records(tmp_path)['mask_rcnn', 0]
    assert record['fit']['head_steps'] == 2
    assert record['fit']['images'] == len(read_json(data / 'annotations.json')['images'])
    assert {'segm_mAP_cls', 'mask_iou_mae'} <= set(record['figures'])
    gain = record['figures']['segm_mAP'] - record['figures']['segm_mAP_cls']
    assert record['gain']['gain'] == pytest.approx(gain, abs=1e-9)


def test_mmdets_weights_are_tested_in_the_plugins_head(tmp_path, run, trained):
    assert run(write_study(tmp_path), 'ms_rcnn', '--study', 'models', '--seeds', '1')[0] == 0
    record = records(tmp_path)['ms_rcnn', 1]
    assert record['figures']['mask_iou_mae'] >= 0
    assert Config.fromfile(trained[0][2]).randomness.seed == 1


def test_mim_trains_and_an_interrupted_training_goes_on(tmp_path, run):
    studies = write_study(tmp_path)
    stop = dict(type='FailOnceHook', notes=str(tmp_path / 'epochs'))
    row = Row('stopped', 'stopped', str(tmp_path / 'mask_rcnn.py'), {'custom_hooks': [stop]})
    studies = {'one': Study('one', 'One', 'tiny', (row,), imports=('tests.tiny_study',))}
    status, shown = run(studies, '--study', 'one')
    assert status == 1
    assert 'stopped, seed 0: the training ended with status' in shown
    assert not records(tmp_path)
    status, shown = run(studies, '--study', 'one')
    assert status == 0
    assert 'resuming' in shown
    assert (tmp_path / 'epochs').read_text() == '011'  # the first epoch once
    assert records(tmp_path)['stopped', 0]['figures']['seconds_per_iter'] > 0


def test_a_run_of_another_config_is_refused_before_any_work(tmp_path, run, trained):
    studies = write_study(tmp_path)
    assert run(studies, 'mask_rcnn', '--study', 'models')[0] == 0
    old = studies['models'].rows[0]
    row = Row(old.name, old.title, old.base, {'optim_wrapper.optimizer.lr': 0.5})
    for place in ('results', 'work-dir'):
        status, shown = run({'models': Study('models', '', 'tiny', (row,))}, '--study', 'models')
        assert (status, len(trained)) == (2, 1)
        assert in_one_line(shown, 'mask_rcnn, seed 0', 'another config', f'another --{place}')
        (tmp_path / 'results.json').unlink(missing_ok=True)


@pytest.mark.parametrize('condition', ['versions', 'device', 'data', 'start'])
def test_records_that_do_not_compare_are_not_mixed(tmp_path, run, trained, condition):
    studies, path = write_study(tmp_path), tmp_path / 'results.json'
    old = runner.Run(studies['models'], studies['models'].rows[0], 0, tmp_path)
    known = dict(**old.identity(), data=old.data(), start=None, **provenance(''))
    new = dict(known, run='ms_rcnn', **{condition: 'another'})
    write_records(path, [json.loads(json.dumps(known))])
    with pytest.raises(ValueError, match=f'another {condition}'):
        require_comparable(path, new)
    assert not require_comparable(path, dict(known, run='ms_rcnn'))
    assert not require_comparable(path, dict(new, study='another study'))
    write_records(path, [dict(known, **{condition: 'another'})])
    before = path.read_text()
    status, shown = run(studies, 'ms_rcnn', '--study', 'models')
    assert (status, trained) == (2, [])
    assert in_one_line(shown, f'another {condition}', '--results')
    assert path.read_text() == before


def test_data_that_is_not_there_is_reported_before_any_work(tmp_path, run, trained):
    studies = write_study(tmp_path)
    (tmp_path / 'set' / 'annotations.json').unlink()
    status, shown = run(studies, '--study', 'models')
    assert (status, trained) == (2, [])
    assert in_one_line(shown, 'annotations.json', 'config')


def test_an_unknown_run_is_reported(tmp_path, run, capsys):
    with pytest.raises(SystemExit, match='2'):
        run(write_study(tmp_path), 'nonsense', '--study', 'heads')
    assert 'it has head, faster' in capsys.readouterr().err


def test_the_hash_ignores_where_the_data_lies(tmp_path, monkeypatch):
    hashes = set()
    for folder in ('data', 'data/dsb2018', str(tmp_path)):
        monkeypatch.setenv('DSB2018_ROOT', folder)
        runner._read.cache_clear()
        found = runner.Run(runner.STUDIES['nuclei'], runner.STUDIES['nuclei'].rows[0], 0, tmp_path)
        hashes.add(found.identity()['config_hash'])
    runner._read.cache_clear()
    assert len(hashes) == 1


def test_the_tool_is_a_door_to_it(monkeypatch, capsys):
    import runpy

    monkeypatch.setattr(sys, 'argv', ['run_ablations.py', '--help'])
    with pytest.raises(SystemExit, match='0'):
        runpy.run_path(str(runner.REPOSITORY / 'tools' / 'run_ablations.py'), run_name='__main__')
    assert 'tau_03' in capsys.readouterr().out


def test_a_results_file_that_is_none_is_reported(tmp_path, run):
    (tmp_path / 'results.json').write_text('{')
    status, shown = run(write_study(tmp_path), '--study', 'models')
    assert status == 2
    assert in_one_line(shown, 'results.json is no JSON')


def test_records_take_a_line_each(tmp_path):
    found = [dict(study='a', run='τ', seed=0), dict(study='a', run='b', seed=1)]
    write_records(tmp_path / 'new' / 'r.json', found)
    text = (tmp_path / 'new' / 'r.json').read_text()
    assert len(text.splitlines()) == 4
    assert json.loads(text)['runs'] == found == read_records(tmp_path / 'new' / 'r.json')
    assert read_records(tmp_path / 'none.json') == []


def test_a_command_is_recorded_without_the_folders_of_a_machine(tmp_path):
    words = ['python', 'run.py', str(tmp_path / 'a model.pth'), '--work-dir', 'work_dirs/fit']
    shown = provenance(shlex.join(words))['command']
    assert shown == "python run.py 'a model.pth' --work-dir work_dirs/fit"
