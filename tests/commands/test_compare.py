"""Tiny models side by side: tested, kept, failing, interrupted, and from their files."""

import json

import pytest
from mmengine.registry import init_default_scope

from msrcnn_plugin.commands import compare
from msrcnn_plugin.commands.main import main

from ..tested_models import write_model
from ..tiny_set import write_tiny_set

KINDS = ('mask_rcnn', 'ms_rcnn', 'plugin')
MODELS = [compare.NAMES[kind] for kind in KINDS]


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return write_tiny_set(tmp_path_factory.mktemp('compared') / 'set')


@pytest.fixture(scope='module')
def models(data):
    """The command line's options for each kind of model."""
    init_default_scope('mmdet')
    return {
        kind: [f'--{kind.replace("_", "-")}', *write_model(kind, data, data.parent / kind)]
        for kind in KINDS
    }


@pytest.fixture
def run(tmp_path, capsys):
    """Exit status, JSON, what was printed, and the page."""

    def run(*options):
        figures, page = tmp_path / 'figures.json', tmp_path / 'kept' / 'compare.html'
        figures.unlink(missing_ok=True)
        page.unlink(missing_ok=True)
        words = [str(word) for option in options for word in option]
        capsys.readouterr()
        status = main(['compare', *words, '--out', str(tmp_path / 'kept'), '--json', str(figures)])
        shown = capsys.readouterr()
        return (
            status,
            json.loads(figures.read_text()) if figures.exists() else None,
            shown.out + shown.err,
            page.read_text() if page.exists() else None,
        )

    return run


def test_three_models_and_a_second_call(models, run, tmp_path):
    status, figures, shown, page = run(*models.values())
    assert status == 0
    assert list(figures['models']) == MODELS
    assert figures['failed'] == {}
    assert '| MS R-CNN, this plugin | masks | **mask score**' in shown
    for title in ('ms an image', 'extra memory (MiB)', 'parameters (M)'):
        assert title in page
        assert title in shown
        assert all(model['facts'][title] >= 0 for model in figures['models'].values())
    assert page.startswith('<!DOCTYPE html>')
    assert '--plugin plugin.py plugin.pth' in page
    assert str(tmp_path) not in page
    option, config, checkpoint = models['plugin']
    changed = tmp_path / 'plugin.py'
    changed.write_text(
        f'_base_ = {config!r}\nmodel = dict(test_cfg=dict(rcnn=dict(max_per_img=5)))'
    )
    status, again, shown, _ = run(*[*models.values()][:2], [option, changed, checkpoint])
    assert status == 0
    assert shown.count('done before') == 2
    assert again['models'][MODELS[0]] == figures['models'][MODELS[0]]
    assert again['models'][MODELS[2]] != figures['models'][MODELS[2]]


def test_a_model_that_fails_leaves_the_others(models, run):
    wrong = ['--plugin', models['plugin'][1], models['mask_rcnn'][2]]
    status, figures, shown, page = run(models['mask_rcnn'], wrong)
    assert status == 2
    assert list(figures['models']) == MODELS[:1]
    assert 'does not fit the model' in figures['failed'][MODELS[2]]
    assert f'{MODELS[2]} failed:' in shown
    assert page
    status, figures, _, page = run(wrong)
    assert (status, 'models' in figures, page) == (2, False, None)


def test_interrupted_it_shows_what_it_has_and_goes_on_later(models, run, monkeypatch):
    go_on = compare._test

    def until_the_second(config, *args):
        if config.endswith('ms_rcnn.py'):
            raise KeyboardInterrupt
        go_on(config, *args)

    with monkeypatch.context() as patch:
        patch.setattr(compare, '_test', until_the_second)
        status, figures, shown, page = run(models['mask_rcnn'], models['ms_rcnn'])
    assert status == 130
    assert list(figures['models']) == MODELS[:1]
    assert 'interrupted' in shown
    assert page
    status, figures, shown, _ = run(models['mask_rcnn'], models['ms_rcnn'])
    assert (status, len(figures['models'])) == (0, 2)
    assert shown.count('done before') == 1


def test_files_of_tests_side_by_side(models, data, run, tmp_path):
    run(models['plugin'], ['--model', 'R50 [ours] $x$', *models['mask_rcnn'][1:]])
    folders = [tmp_path / 'kept' / name for name in ('MS_R-CNN_this_plugin', 'R50_ours_x_')]
    status, figures, _, _ = run([folder / 'pairs.npz' for folder in folders])
    assert status == 0
    assert list(figures['models']) == [folder.name for folder in folders]
    results = [folder / 'predictions.segm.json' for folder in folders]
    truth = ['--annotations', data / 'annotations.json', '--images', data / 'images']
    status, again, _, page = run(truth, ['--results', *results])
    assert status == 0
    for ours, theirs in zip(figures['models'].values(), again['models'].values()):
        # CocoMetric writes the mask score as `score`.
        assert theirs['figures']['segm_mAP_cls'] == pytest.approx(ours['figures']['segm_mAP'])
    assert 'misjudges' in page


def test_different_ground_truth_is_refused_before_any_test(models, run, tmp_path, monkeypatch):
    monkeypatch.setattr(compare, '_test', lambda *args: pytest.fail('tested'))
    other = write_tiny_set(tmp_path / 'other')
    with open(other / 'annotations.json', 'a') as stream:
        stream.write(' ')
    elsewhere = ['--plugin', *write_model('plugin', other, tmp_path / 'elsewhere')]
    status, figures, shown, _ = run(models['mask_rcnn'], elsewhere)
    assert status == 2
    assert 'different ground truth' in shown
    assert shown.count('\n') == 1
    assert figures is None


@pytest.mark.parametrize(
    ('words', 'advice'),
    [
        ('', 'give either checkpoints'),
        ('a.npz --model a b c', 'give either checkpoints'),
        ('--results a.json', '--results needs --annotations'),
        ('--plugin none.py none.pth', 'none.py: there is no such file'),
        ('--model a b c --model a d e', 'another name'),
    ],
)
def test_wrong_arguments_take_one_line(words, advice, capsys):
    assert main(['compare', *words.split()]) == 2
    error = capsys.readouterr().err
    assert error.count('\n') == 1
    assert advice in error


@pytest.mark.parametrize(
    ('paths', 'names'),
    [
        (['a/report/pairs.npz', 'b/report/pairs.npz'], ['a', 'b']),
        (['sam.json', 'results/yolo.json'], ['sam', 'yolo']),
        (['x/a.json', 'y/a.json', 'y/b.json'], ['x/a', 'y/a', 'y/b']),
        (['alone.npz'], ['alone']),
    ],
)
def test_names_of_files(paths, names):
    assert compare._names(paths) == names


def test_an_interrupted_test_is_not_taken_for_the_one_before(models, run, monkeypatch, tmp_path):
    run(models['plugin'])
    (record,) = tmp_path.rglob(compare.RECORD_NAME)
    option, config, checkpoint = models['plugin']
    changed = tmp_path / 'plugin.py'
    changed.write_text(
        f'_base_ = {config!r}\nmodel = dict(test_cfg=dict(rcnn=dict(max_per_img=5)))'
    )

    def stopped(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr('msrcnn_plugin.apis.evaluate_checkpoint', stopped)
    assert run([option, changed, checkpoint])[0] == 130
    assert not record.exists()
