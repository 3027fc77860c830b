"""What a study file may say, and what is told of one that is wrong."""

from unittest.mock import Mock

import pytest

from msrcnn_plugin.studies import read_study, study

from ..tiny_study import KINDS, write_study


def test_every_run_with_every_seed_seed_by_seed(tmp_path):
    study = read_study(write_study(tmp_path, *KINDS, seeds=(3, 5)), tmp_path / 'work')
    assert (study.name, study.title, study.size) == ('study', 'Tiny', 'cpu')
    assert [(run.name, run.seed) for run in study.runs] == [
        (kind, seed) for seed in (3, 5) for kind in KINDS
    ]
    assert {run.cfg.randomness['seed'] for run in study.runs} == {3, 5}
    assert len({run.folder for run in study.runs}) == 6
    assert all(run.folder.parent == tmp_path / 'work' for run in study.runs)


def test_a_runs_changes_and_the_config_it_is_tested_with(tmp_path):
    study = read_study(write_study(tmp_path, *KINDS), tmp_path)
    plain, stock, ours = study.runs
    assert ours.cfg.optim_wrapper.optimizer.lr == 0.02
    assert plain.cfg.optim_wrapper.optimizer.lr == 0.01
    assert stock.cfg.model.roi_head.type == 'MaskScoringRoIHead'
    assert stock.test_cfg.model.roi_head.type == 'MSRoIHead'
    assert (ours.title, ours.paper) == ('ours', 'section 3.2')
    assert ours.test_cfg.model == ours.cfg.model


def test_options_change_what_is_trained_and_what_is_tested(tmp_path):
    options = {'model.test_cfg.rcnn.max_per_img': 7}
    (run,) = read_study(write_study(tmp_path, 'ms_rcnn'), tmp_path, options).runs
    assert run.cfg.model.test_cfg.rcnn.max_per_img == 7
    assert run.test_cfg.model.test_cfg.rcnn.max_per_img == 7


def test_nothing_is_validated_while_it_trains(tmp_path):
    validation = dict(val_cfg=dict(), val_dataloader=dict(batch_size=1), val_evaluator=dict())
    (run,) = read_study(write_study(tmp_path, 'plugin'), tmp_path, validation).runs
    assert {run.cfg[key] for key in validation} == {None}
    assert run.test_cfg.val_dataloader.batch_size == 1


def test_a_run_may_be_a_config_alone_and_another_have_the_studys_own(tmp_path):
    runs = dict(alone='plugin.py', changed=dict(changes={'train_cfg.max_epochs': 5}))
    path = write_study(tmp_path, base='mask_rcnn.py', runs=runs)
    alone, changed = read_study(path, tmp_path).runs
    assert alone.title == 'alone'
    assert alone.cfg.model.roi_head.type == 'MSRoIHead'
    assert changed.cfg.model.roi_head.type == 'StandardRoIHead'
    assert changed.cfg.train_cfg.max_epochs == 5


def test_a_config_is_read_once_for_all_seeds(tmp_path, monkeypatch):
    read = Mock(wraps=study.read_config)
    monkeypatch.setattr(study, 'read_config', read)
    first, second = read_study(write_study(tmp_path, 'plugin', seeds=(1, 2)), tmp_path).runs
    assert [call.args[0].name for call in read.call_args_list] == ['study.py', 'plugin.py']
    assert first.cfg.randomness.seed == 1
    assert second.cfg.randomness.seed == 2
    assert first.cfg.model == second.cfg.model


def test_each_seed_may_start_from_a_trunk_of_its_own(tmp_path):
    path = write_study(tmp_path, 'plugin', seeds=(1, 2), load_from='trunk_{seed}.pth')
    study = read_study(path, tmp_path)
    assert [run.cfg.load_from for run in study.runs] == ['trunk_1.pth', 'trunk_2.pth']
    path = write_study(tmp_path, 'plugin', load_from='{name}_{seed}.pth')
    assert read_study(path, tmp_path).runs[0].cfg.load_from == '{name}_0.pth'


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        (dict(runs={}), 'has no runs'),
        (dict(runs=['plugin.py']), 'has no runs'),
        (dict(seeds=[]), 'list of different integers'),
        (dict(seeds=[1, 1]), 'list of different integers'),
        (dict(seeds=2), 'list of different integers'),
        (dict(epochs=3), r'has epochs, expected some of'),
        (dict(runs=dict(a=dict(config='plugin.py'))), 'run a of .*has config, expected some of'),
        (dict(runs=dict(a=dict(title='a'))), 'run a of .* has no config'),
        (dict(runs=dict(a=3)), r'run a of .* is 3: give a config'),
        (dict(runs=dict(a=dict(changes=3))), r'run a of .* give a config, or dict\(base'),
        (dict(base=3), r'study\.py has base=3: give a string'),
        (dict(runs=dict(a=dict(base=3))), 'run a of .* has base=3: give a string'),
        (
            dict(runs=dict(a=dict(base='plugin.py', changes={'train_cfg.max_epochs.x': 1}))),
            r'plugin\.py cannot be changed by .*max_epochs',
        ),
    ],
)
def test_a_study_that_is_wrong(tmp_path, changes, words):
    with pytest.raises(ValueError, match=words):
        read_study(write_study(tmp_path, 'plugin', **changes), tmp_path)


def test_a_config_or_data_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'none\.py'):
        read_study(write_study(tmp_path, runs=dict(a='none.py')), tmp_path)
    elsewhere = {'train_dataloader.dataset.data_root': str(tmp_path / 'nowhere')}
    with pytest.raises(FileNotFoundError, match='nowhere'):
        read_study(write_study(tmp_path, 'plugin'), tmp_path, elsewhere)
