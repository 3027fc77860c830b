"""The command: table and JSON, a killed run, refused mixing, wrong arguments."""

import json

import pytest

from msrcnn_plugin.studies import read_study
from tools import run_ablations

from ..tiny_study import KINDS, stops_once, write_study


@pytest.fixture
def run(tmp_path, capsys):
    """Exit status, what was written as JSON, and what was printed."""

    def run(study, *options):
        file = tmp_path / 'new' / 'out.json'
        file.unlink(missing_ok=True)
        words = [study, '--work-dir', tmp_path / 'work', '--json', file, *options]
        capsys.readouterr()
        status = run_ablations.main([str(word) for word in words])
        shown = capsys.readouterr()
        written = json.loads(file.read_text()) if file.exists() else None
        return status, written, shown.out + shown.err

    return run


def as_options(changes):
    """As the command line has them."""
    return ['--cfg-options', *(f'{key}={value}' for key, value in changes.items())]


def test_table_json_and_results_of_two_seeds(tmp_path, run, no_children):
    results = tmp_path / 'results.json'
    study = write_study(tmp_path, *KINDS, seeds=(0, 1))
    status, written, shown = run(study, '--results', results)
    assert status == 0
    assert len(no_children) == 12
    assert len(written['runs']) == 6
    assert written['failed'] == {}
    assert written['spreads']['plugin']['bbox_mAP']['seeds'] == 2
    for words in ('Mask R-CNN', 'ours (section 3.2)', '±', 'oracle', 'plugin, seed 1: mask score'):
        assert words in shown
    found = json.loads(results.read_text())['cpu']
    assert list(found) == list(KINDS)
    assert set(found['plugin']) >= {'bbox_mAP', 'segm_mAP', 'segm_mAP_oracle', 'seconds_per_iter'}
    assert set(found['plugin']['segm_mAP']) == {'mean', 'std', 'seeds'}
    runs = json.loads((tmp_path / 'results.runs.json').read_text())['cpu']
    assert all(record['command'].startswith('python tools/run_ablations.py') for record in runs)


def test_heads_on_one_trunk_are_compared(tmp_path, run, no_children):
    assert run(write_study(tmp_path, 'plugin'))[0] == 0
    head_only = {'custom_hooks': [dict(type='TrainMaskIoUHeadOnlyHook')]}
    faster = {**head_only, 'optim_wrapper.optimizer.lr': 0.1}
    runs = dict(
        first=dict(base='plugin.py', changes=head_only),
        faster=dict(base='plugin.py', changes=faster),
        whole=dict(base='plugin.py'),
    )
    trunk, results = tmp_path / 'work' / 'plugin-0' / 'train' / 'epoch_2.pth', tmp_path / 'out.json'
    study = write_study(tmp_path, runs=runs, compare_with='first', load_from=str(trunk))
    assert run(study, '--results', results)[0] == 0
    found = json.loads(results.with_suffix('.runs.json').read_text())['cpu']
    first, faster, whole = (record['difference'] for record in found)
    assert first == whole == {}
    ap = {record['run']: record['figures']['segm_mAP'] for record in found}
    assert faster['gain'] == pytest.approx(ap['faster'] - ap['first'], abs=1e-9)
    assert faster['run'] == 'first'


def test_killed_it_fails_alone_and_goes_on_later(tmp_path, run, request):
    notes = tmp_path / 'epochs'
    runs = dict(
        killed=dict(base='plugin.py', changes=stops_once(notes, 'kill')), other='mask_rcnn.py'
    )
    study = write_study(tmp_path, runs=runs)
    status, written, shown = run(study, '--jobs', 2, '--results', tmp_path / 'results.json')
    assert status == 1
    assert list(written['failed']) == ['killed, seed 0']
    assert 'status -9' in shown
    assert [record['run'] for record in written['runs']] == ['other']
    assert not (tmp_path / 'results.json').exists()
    request.getfixturevalue('no_children')  # enough have been started
    status, written, _ = run(study)
    assert status == 0
    assert notes.read_text() == '011'
    assert {record['run'] for record in written['runs']} == {'killed', 'other'}


def test_interrupted_it_shows_what_it_has(tmp_path, run, no_children):
    changes = stops_once(tmp_path / 'epochs', 'interrupt')
    runs = dict(first='mask_rcnn.py', stopped=dict(base='plugin.py', changes=changes))
    study = write_study(tmp_path, runs=runs)
    status, written, shown = run(study)
    assert status == 130
    assert [record['run'] for record in written['runs']] == ['first']
    assert 'interrupted: call again to go on' in shown
    assert run(study)[0] == 0


def test_results_of_another_config_are_not_mixed_in(tmp_path, run, no_children):
    study = write_study(tmp_path, 'plugin')
    assert run(study)[0] == 0
    # Nor by the runs of the same table that are not to run.
    two = write_study(tmp_path, 'mask_rcnn', 'plugin')
    other = as_options({'optim_wrapper.optimizer.momentum': 0.5})
    status, written, shown = run(two, '--only', 'mask_rcnn', '--anew', *other)
    assert (status, written) == (2, None)
    assert 'config.optim_wrapper.optimizer.momentum' in shown
    study = write_study(tmp_path, 'plugin')
    status, written, shown = run(study, *other)
    assert status == 2
    assert written is None
    assert 'config.optim_wrapper.optimizer.momentum (plugin, seed 0)' in shown
    assert len(shown.splitlines()) == 1
    status, written, _ = run(study, '--anew', *other)
    assert status == 0
    assert len(no_children) == 4


class TestOnly:
    @pytest.fixture
    def runs(self, tmp_path):
        study = write_study(tmp_path, *KINDS, seeds=(0, 1))
        return read_study(study, tmp_path / 'work').runs

    @pytest.mark.parametrize(
        ('only', 'expected'),
        [
            (['plugin'], ['plugin-0', 'plugin-1']),
            (['plugin-1', 'mask_rcnn-0'], ['mask_rcnn-0', 'plugin-1']),
            (['plugin-1', 'plugin'], ['plugin-0', 'plugin-1']),
        ],
    )
    def test_runs_by_name_and_by_seed(self, runs, only, expected):
        assert [run.folder.name for run in run_ablations.chosen(runs, only)] == expected

    def test_all_where_none_is_named(self, runs):
        assert run_ablations.chosen(runs, []) == list(runs)

    def test_an_unknown_one_is_refused(self, runs):
        with pytest.raises(ValueError, match='--only plugin-2: no such run; the study has mask'):
            run_ablations.chosen(runs, ['plugin-2', 'plugin'])


@pytest.mark.parametrize(
    ('words', 'expected'),
    [
        (['none.py'], 'none.py: no such file'),
        ([__file__, '--jobs', '0'], '--jobs 0: give 1 or more'),
        ([__file__, '--cfg-options', 'a'], 'give KEY=VALUE'),
    ],
)
def test_wrong_arguments(words, expected, capsys):
    with pytest.raises(SystemExit) as ended:
        run_ablations.main(words)
    assert ended.value.code == 2
    shown = capsys.readouterr().err
    assert expected in shown
    assert len(shown.splitlines()) == 1


def test_a_study_that_is_wrong_is_told_in_one_line(tmp_path, run):
    status, _, shown = run(write_study(tmp_path, 'plugin', seeds=()))
    assert (status, len(shown.splitlines())) == (2, 1)
    status, _, shown = run(write_study(tmp_path, 'plugin', compare_with='mask_rcnn'))
    assert (status, len(shown.splitlines())) == (2, 1)
    assert "compare_with='mask_rcnn': give one of its runs" in shown
    study = write_study(tmp_path, 'plugin', size=None)
    status, _, shown = run(study, '--results', tmp_path / 'results.json')
    assert status == 2
    assert 'set size' in shown


@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        (['--cfg-options', 'a=(1,2]'], '--cfg-options a=(1,2]: '),
        (['--cfg-options', 'train_dataloader=None'], 'train_dataloader of a config names no ann_f'),
        (['--results', 'BROKEN'], 'broken.json is no JSON'),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_trained(
    tmp_path, run, no_children, options, expected
):
    (tmp_path / 'broken.json').write_text('{')
    words = [str(tmp_path / 'broken.json') if word == 'BROKEN' else word for word in options]
    status, written, shown = run(write_study(tmp_path, 'plugin'), *words)
    assert (status, written, no_children) == (2, None, [])
    assert expected in shown
    assert len(shown.splitlines()) == 1


def test_bars_on_a_terminal(tmp_path):
    from rich.console import Console

    from msrcnn_plugin.studies import Progress, read_study

    study = read_study(write_study(tmp_path, 'mask_rcnn', 'plugin'), tmp_path / 'work')
    console = Console(force_terminal=True, record=True, width=120)
    first, second = study.runs
    with run_ablations.display(study, console) as notify:
        notify(Progress(first, 'train', 1, 2))
        notify(Progress(first, 'test'))
        notify(Progress(first, 'done'))
        notify(Progress(second, 'failed', failure='no memory'))
    shown = console.export_text()
    assert 'mask_rcnn, seed 0: done' in shown
    assert 'plugin, seed 0: no memory' in shown
    assert '100 %' in shown
