"""What changes between two calls is named, and nothing of it goes into one table."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmdet.registry import MODELS
from mmengine.config import Config

from msrcnn_plugin.models import MSRoIHead
from msrcnn_plugin.studies import ChangedInputsError, inputs, prepare, read_study
from msrcnn_plugin.studies.inputs import code_digests, data_digests, differences, has_our_models

from ..tiny_study import write_study

TREES = st.recursive(
    st.integers(0, 2), lambda below: st.dictionaries(st.sampled_from('abc'), below, max_size=3)
)


@given(TREES, TREES)
def test_differences_are_none_only_between_equals(first, second):
    assert (list(differences(first, second)) == []) is (first == second)


def test_differences_by_hand():
    old = dict(same=[1], gone=1, deep=dict(a=dict(b=1), c=2))
    new = dict(same=[1], new=1, deep=dict(a=dict(b=3), c=2))
    assert list(differences(old, new)) == ['gone', 'deep.a.b', 'new']
    assert list(differences({}, {})) == []


@pytest.fixture
def runs(tmp_path):
    """As one call after the other reads them."""

    def runs(options=None):
        path = write_study(tmp_path, 'mask_rcnn', 'plugin')
        return read_study(path, tmp_path / 'work', options).runs

    return runs


def finish(run):
    """As if it was trained and tested."""
    run.train_folder.mkdir()
    run.trained_file.write_text('{}')
    run.record_file.write_text('{}')


def test_the_same_inputs_are_accepted_again(runs):
    prepare(runs())
    finish(runs()[0])
    prepare(runs())
    assert runs()[0].record_file.is_file()


def test_a_changed_config_is_named_and_everything_stays(runs):
    prepare(runs())
    for run in runs():
        finish(run)
    changed = runs({'optim_wrapper.optimizer.lr': 0.5, 'train_cfg.max_epochs': 3})
    with pytest.raises(ChangedInputsError) as error:
        prepare(changed)
    for words in (
        '2 of 2 runs were begun with other inputs',
        'config.optim_wrapper.optimizer.lr',
        'config.train_cfg.max_epochs',
        '(mask_rcnn, seed 0 / plugin, seed 0)',
        '--anew',
    ):
        assert words in str(error.value)
    assert changed[1].record_file.is_file()
    prepare(runs())


def test_a_run_that_was_never_begun_takes_what_is_there_now(runs):
    prepare(runs())
    runs()[0].train_folder.mkdir()
    with pytest.raises(ChangedInputsError, match=r'1 of 2 runs .*lr \(mask_rcnn, seed 0\)'):
        prepare(runs({'optim_wrapper.optimizer.lr': 0.5}))
    prepare(runs()[1:])


def test_runs_of_the_same_table_are_looked_at_and_left_alone(runs):
    plain, ours = runs()
    prepare([plain, ours])
    finish(plain)
    plain, ours = runs({'optim_wrapper.optimizer.lr': 0.5})
    for anew in (False, True):
        with pytest.raises(ChangedInputsError, match=r'1 of 2 runs .*mask_rcnn'):
            prepare([ours], beside=[plain, ours], anew=anew)
    assert plain.record_file.is_file()
    prepare([plain], beside=[plain, ours], anew=True)
    assert not plain.record_file.exists()


def test_what_remains_of_an_interrupted_deletion_is_refused(runs, monkeypatch):
    prepare(runs())
    finish(runs()[0])
    changed = runs({'optim_wrapper.optimizer.lr': 0.5})

    def interrupted(folder):
        (folder / inputs.INPUTS_NAME).unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(inputs.shutil, 'rmtree', interrupted)
        with pytest.raises(KeyboardInterrupt):
            prepare(changed, anew=True)
    assert not runs()[0].record_file.exists()
    assert not runs()[0].trained_file.exists()
    for again in (runs(), changed):
        with pytest.raises(ChangedInputsError, match='mask_rcnn, seed 0'):
            prepare(again)
    prepare(changed, anew=True)
    prepare(changed)


def test_broken_inputs_are_told_by_their_file(runs):
    prepare(runs())
    finish(runs()[0])
    for text in ('{', '[]'):
        (runs()[0].folder / 'inputs.json').write_text(text)
        with pytest.raises(ValueError, match=r'inputs\.json .*: restore it, or delete it'):
            prepare(runs())


def test_anew_starts_over_what_has_changed_alone(runs, tmp_path):
    prepare(runs())
    for run in runs():
        finish(run)
    text = (tmp_path / 'study.py').read_text().replace('0.02', '0.03')
    (tmp_path / 'study.py').write_text(text)
    plain, ours = read_study(tmp_path / 'study.py', tmp_path / 'work').runs
    prepare([plain, ours], anew=True)
    assert plain.record_file.is_file()
    assert not ours.trained_file.exists()
    prepare([plain, ours])


@pytest.mark.parametrize(
    ('part', 'trained_again'),
    [
        ('evaluation', []),
        ('apis', ['mask_rcnn', 'plugin']),
        ('studies', ['mask_rcnn', 'plugin']),
        ('models', ['plugin']),
        ('geometry', ['plugin']),
    ],
)
def test_changed_code_is_named_and_the_test_alone_repeated_where_that_will_do(
    runs, monkeypatch, part, trained_again
):
    prepare(runs())
    for run in runs():
        finish(run)
    changed = {**code_digests(), part: 'changed'}
    monkeypatch.setattr(inputs, 'code_digests', lambda: changed)
    with pytest.raises(ChangedInputsError, match=rf'Changed: .*code\.test\.{part} '):
        prepare(runs())
    prepare(runs(), anew=True)
    assert not any(run.record_file.exists() for run in runs())
    assert [run.name for run in runs() if not run.trained_file.exists()] == trained_again


@pytest.mark.parametrize(
    ('model', 'ours'),
    [
        (dict(type='MaskRCNN', roi_head=dict(type='StandardRoIHead')), False),
        (dict(type='mmdet.MaskRCNN', roi_head=dict(type='MaskScoringRoIHead')), False),
        (dict(type='MaskRCNN', roi_head=dict(type='MSRoIHead')), True),
        (dict(type='MaskRCNN', roi_head=dict(mask_head=[dict(type='mmdet.MSMaskIoUHead')])), True),
        (dict(type='X', train_cfg=dict(rcnn=dict(sampler=dict(type='ReplaySampler')))), True),
        (dict(type='NoSuchModel', roi_head=[]), False),
    ],
)
def test_a_model_of_this_package_is_known_by_its_types(model, ours):
    assert has_our_models(Config(dict(model=model))) is ours


def test_a_class_made_of_ours_is_ours():
    @MODELS.register_module()
    class RoIHeadOfOnesOwn(MSRoIHead):
        pass

    try:
        model = dict(type='MaskRCNN', roi_head=dict(type='RoIHeadOfOnesOwn'))
        assert has_our_models(Config(dict(model=model)))
    finally:
        MODELS.module_dict.pop('RoIHeadOfOnesOwn')


def test_code_that_makes_no_figure_does_not_count():
    counted = set(code_digests())
    assert {'models', 'geometry', 'hooks', 'evaluation', 'apis', 'studies', 'compat'} <= counted
    assert not {'visualization', 'checkpoints', 'doctor'} & counted


def test_changed_annotations_and_another_start(runs, tmp_path):
    (tmp_path / 'trunk.pth').write_bytes(b'one')
    options = dict(load_from=str(tmp_path / 'trunk.pth'))
    prepare(runs(options))
    finish(runs()[0])
    (tmp_path / 'trunk.pth').write_bytes(b'two')
    with pytest.raises(ChangedInputsError, match='Changed: start '):
        prepare(runs(options))
    (tmp_path / 'trunk.pth').unlink()
    with pytest.raises(FileNotFoundError, match='no such checkpoint'):
        prepare(runs(options))
    (tmp_path / 'trunk.pth').write_bytes(b'one')
    prepare(runs(options))
    with open(tmp_path / 'set' / 'annotations.json', 'a') as stream:
        stream.write(' ')
    forget()
    every = r'Changed: data\.train, data\.test, data\.ground_truth '
    with pytest.raises(ChangedInputsError, match=every):
        prepare(runs(options))


def forget():
    """What a call has read of the data, as the next one would."""
    inputs._digest.cache_clear()
    inputs._data_digest.cache_clear()


def test_a_checkpoint_at_an_address_is_known_by_it(runs):
    first, second = (dict(load_from=f'https://nowhere.org/{name}.pth') for name in 'ab')
    prepare(runs(first))
    finish(runs()[0])
    with pytest.raises(ChangedInputsError, match=r'Changed: config\.load_from'):
        prepare(runs(second))


def test_images_libraries_and_imported_modules_count(runs, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / 'study_own_module.py').write_text('')
    options = {'custom_imports.imports': ['msrcnn_plugin', 'study_own_module']}
    prepare(runs(options))
    finish(runs()[0])
    os.utime(tmp_path / 'set' / 'images' / '0.jpg', (1, 1))
    forget()
    (tmp_path / 'study_own_module.py').write_text('changed = True')
    monkeypatch.setattr(inputs, 'distribution_versions', lambda names: {'numpy': '0'})
    with pytest.raises(ChangedInputsError) as error:
        prepare(runs(options))
    found = list(differences(noted(runs()[0]), inputs.inputs(runs(options)[0])))
    assert {'data.train', 'data.test', 'modules.train', 'modules.test'} <= set(found)
    assert 'libraries.numpy' in found
    assert 'data.train, data.test, modules.train, modules.test and' in str(error.value)


def noted(run):
    return json.loads((run.folder / inputs.INPUTS_NAME).read_text())


def test_a_repeated_training_set_is_known_by_what_it_repeats(runs):
    cfg = runs()[0].cfg
    expected = data_digests(cfg, 'train_dataloader')
    cfg.train_dataloader.dataset = dict(type='RepeatDataset', dataset=cfg.train_dataloader.dataset)
    assert data_digests(cfg, 'train_dataloader') == expected
    for loader in (dict(dataset=dict(type='ConcatDataset')), None):
        cfg.train_dataloader = loader
        with pytest.raises(ValueError, match='train_dataloader of a config names no ann_file'):
            data_digests(cfg, 'train_dataloader')
