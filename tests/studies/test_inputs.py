"""What changes between two calls is named, and nothing of it goes into one table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msrcnn_plugin.studies import ChangedInputsError, inputs, prepare, read_study
from msrcnn_plugin.studies.inputs import code_digests, differences

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
    run.trained_file.write_text('{}')
    run.record_file.write_text('{}')


def test_the_same_inputs_are_accepted_again(runs):
    prepare(runs())
    finish(runs()[0])
    prepare(runs())
    assert runs()[0].record_file.is_file()


def test_a_changed_config_is_named_and_everything_stays(runs):
    prepare(runs())
    finish(runs()[1])
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
    ('part', 'trains_again'), [('evaluation', False), ('apis', False), ('models', True)]
)
def test_changed_code_is_named_and_the_test_alone_repeated_where_that_will_do(
    runs, monkeypatch, part, trains_again
):
    prepare(runs())
    for run in runs():
        finish(run)
    changed = {**code_digests(), part: 'changed'}
    monkeypatch.setattr(inputs, 'code_digests', lambda: changed)
    with pytest.raises(ChangedInputsError, match=rf'Changed: code\.{part} '):
        prepare(runs())
    prepare(runs(), anew=True)
    assert not any(run.record_file.exists() for run in runs())
    assert all(run.trained_file.exists() is not trains_again for run in runs())


def test_code_that_makes_no_figure_does_not_count():
    counted = set(code_digests())
    assert {'models', 'geometry', 'hooks', 'evaluation', 'apis', 'compat'} <= counted
    assert not {'visualization', 'studies', 'doctor'} & counted


def test_changed_annotations_and_another_start(runs, tmp_path):
    (tmp_path / 'trunk.pth').write_bytes(b'one')
    options = dict(load_from=str(tmp_path / 'trunk.pth'))
    prepare(runs(options))
    (tmp_path / 'trunk.pth').write_bytes(b'two')
    with pytest.raises(ChangedInputsError, match='Changed: start '):
        prepare(runs(options))
    (tmp_path / 'trunk.pth').unlink()
    with pytest.raises(FileNotFoundError, match='no such checkpoint'):
        prepare(runs(options))
    with open(tmp_path / 'set' / 'annotations.json', 'a') as stream:
        stream.write(' ')
    inputs._digest.cache_clear()
    (tmp_path / 'trunk.pth').write_bytes(b'one')
    with pytest.raises(ChangedInputsError, match=r'Changed: annotations\.train, annotations\.test'):
        prepare(runs(options))


def test_a_repeated_training_set_is_known_by_what_it_repeats(runs):
    cfg = runs()[0].cfg
    expected = inputs.training_annotations(cfg)
    cfg.train_dataloader.dataset = dict(type='RepeatDataset', dataset=cfg.train_dataloader.dataset)
    assert inputs.training_annotations(cfg) == expected
    cfg.train_dataloader.dataset = dict(type='ConcatDataset')
    with pytest.raises(ValueError, match='names no ann_file'):
        inputs.training_annotations(cfg)
