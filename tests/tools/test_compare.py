"""Three tiny models side by side; one absent, one broken, one interrupted."""

import json
import os

import pytest

from msrcnn_plugin.apis import KeptTest, ScoredTestError, kept_test
from tools import compare

from ..tested_models import write_model
from ..tiny_set import write_tiny_set

KINDS = ('mask_rcnn', 'ms_rcnn', 'plugin')


@pytest.fixture
def data(tmp_path):
    return write_tiny_set(tmp_path / 'set')


@pytest.fixture
def models(data, tmp_path):
    """The command line's options for each kind of model."""
    return {
        kind: [f'--{kind.replace("_", "-")}', *write_model(kind, data, tmp_path / kind)]
        for kind in KINDS
    }


@pytest.fixture
def tested(monkeypatch):
    """No children; the names of the configs that were tested."""
    names = []

    def run(test):
        names.append(test.config.stem)
        kept_test.keep_outcome(test)

    monkeypatch.setattr(KeptTest, '_run_in_child', run)
    return names


@pytest.fixture
def run(tmp_path, capsys):
    """Exit status, JSON, what was printed, and the page."""

    def run(*options):
        figures, page = tmp_path / 'figures.json', tmp_path / 'kept' / 'compare.html'
        figures.unlink(missing_ok=True)
        page.unlink(missing_ok=True)
        arguments = [word for option in options for word in option]
        capsys.readouterr()
        status = compare.main(
            [*arguments, '--work-dir', str(tmp_path / 'kept'), '--json', str(figures)]
        )
        shown = capsys.readouterr()
        return (
            status,
            json.loads(figures.read_text()) if figures.exists() else None,
            shown.out + shown.err,
            page.read_text() if page.exists() else None,
        )

    return run


def row(shown, title):
    """The cells of a line of the table."""
    lines = [[cell.strip() for cell in line.split('│')[1:-1]] for line in shown.splitlines()]
    (found,) = (cells[1:] for cells in lines if cells and cells[0] == title)
    return found


def test_three_models(models, run, tested):
    status, figures, shown, page = run(*models.values())
    assert status == 0
    assert tested == list(KINDS)
    assert list(figures['models']) == list(compare.NAMES.values())
    assert figures['failed'] == {}
    for model in figures['models'].values():
        assert model['facts']['parameters (M)'] > 0
        assert model['facts']['ms an image'] > 0
        assert model['facts']['peak memory (MiB)'] > 0
    # mmdet's MS R-CNN has its mask score alone.
    given = {
        score: [cell != '-' for cell in row(shown, f'masks by {score}')]
        for score in ('class score', 'predicted IoU', 'mask score')
    }
    assert given == {
        'class score': [True, False, True],
        'predicted IoU': [False, False, True],
        'mask score': [False, True, True],
    }
    assert page.startswith('<!DOCTYPE html>')
    for name in compare.NAMES.values():
        assert name.replace("'", '&#39;') in page


def test_absent_models_and_further_ones(models, data, run, tested, tmp_path):
    _, config, checkpoint = models['plugin']
    status, figures, _, _ = run(models['mask_rcnn'], ['--model', 'another', config, checkpoint])
    assert status == 0
    assert list(figures['models']) == ['Mask R-CNN', 'another']


def test_a_second_call_tests_only_what_changed(models, run, tested, data):
    _, first, _, _ = run(*models.values())
    _, second, shown, _ = run(*models.values())
    assert len(tested) == 3
    assert shown.count('done before') == 3
    assert second == first
    with open(models['plugin'][1], 'a') as config:
        config.write('\nmodel["test_cfg"]["rcnn"]["max_per_img"] = 5\n')
    run(*models.values())
    assert tested[3:] == ['plugin']


def test_interrupted_it_shows_what_it_has_and_goes_on_later(models, run, tested, monkeypatch):
    go_on = KeptTest._run_in_child

    def until_the_second(test):
        if tested:
            raise KeyboardInterrupt
        go_on(test)

    with monkeypatch.context() as patch:
        patch.setattr(KeptTest, '_run_in_child', until_the_second)
        status, figures, shown, page = run(*models.values())
    assert status == 130
    assert list(figures['models']) == ['Mask R-CNN']
    assert 'interrupted' in shown
    assert page
    status, figures, _, _ = run(*models.values())
    assert status == 0
    assert len(figures['models']) == 3
    assert tested == list(KINDS)


def test_a_model_that_fails_leaves_the_others(models, run, tested):
    _, _, checkpoint = models['mask_rcnn']
    wrong = ['--plugin', models['plugin'][1], checkpoint]
    go_on = KeptTest._run_in_child

    def fail(test):
        try:
            go_on(test)
        except ValueError as error:
            raise ScoredTestError(str(error)) from error

    KeptTest._run_in_child = fail  # the fixture's patch puts the first one back
    status, figures, shown, page = run(models['mask_rcnn'], wrong)
    assert status == 1
    assert list(figures['models']) == ['Mask R-CNN']
    assert 'does not fit the model' in figures['failed']['MS R-CNN, this plugin']
    assert 'MS R-CNN, this plugin failed:' in shown
    assert page


def test_names_with_markup_and_mathematics(models, data, run, tested):
    _, *files = models['plugin']
    status, figures, shown, page = run(['--model', 'R50 [ours] $x_$', *files])
    assert status == 0
    assert 'R50 [ours] $x_$' in figures['models']
    assert shown.count('R50 [ours]') > 1
    assert 'R50 [ours] $x_$' in page


def test_a_page_tells_its_command_without_folders(models, run, tested, tmp_path):
    _, _, _, page = run(models['plugin'], ['--cases', '1'])
    footer = page[page.index('<footer>') :]
    assert '--plugin plugin.py plugin.pth --cases 1' in footer
    assert str(tmp_path) not in page


def test_a_gallery_that_fails_leaves_the_page(models, data, run, tested):
    run(models['plugin'])
    for file in (data / 'images').iterdir():
        stamp = file.stat()
        file.write_bytes(b' ' * stamp.st_size)
        os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    status, _, shown, page = run(models['plugin'])
    assert status == 0
    assert 'has no gallery' in shown
    assert page


def test_ap_that_is_undefined_has_no_text():
    assert compare.ap_text({}) == ''
    assert compare.ap_text({'': 0.5, '_50': 0.75}) == '50.0 (75.0, -)'


def test_nothing_to_show_where_every_model_fails(models, run, monkeypatch):
    def fail(test):
        raise ScoredTestError('no')

    monkeypatch.setattr(KeptTest, '_run_in_child', fail)
    status, figures, _, page = run(models['plugin'])
    assert status == 1
    assert figures == {'failed': {'MS R-CNN, this plugin': 'no'}}
    assert page is None


def test_different_ground_truth_is_refused(models, run, tested, tmp_path):
    other = write_tiny_set(tmp_path / 'other')
    with open(other / 'annotations.json', 'a') as stream:
        stream.write(' ')
    elsewhere = ['--plugin', *write_model('plugin', other, tmp_path / 'elsewhere')]
    status, figures, shown, _ = run(models['mask_rcnn'], elsewhere)
    assert status == 2
    assert 'different ground truth' in shown
    assert shown.count('\n') == 1
    assert figures is None
    assert not tested


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        ('', 'no model'),
        ('--plugin none.py none.pth', 'none.py: no such file'),
        ('--plugin one.py', 'expected 2 arguments'),
        ('--model a b c --model a d e', 'another name'),
        ('--model a b c --cases -1', 'give 0 to 24'),
        ('--model a b c --cases 25', 'give 0 to 24'),
        (f'--model a {__file__} {__file__} --json no/folder/a.json', 'there is no folder'),
        ('--model a b c --cfg-options x', 'give KEY=VALUE'),
    ],
)
def test_wrong_arguments_are_answered_in_one_line(arguments, words, capsys):
    with pytest.raises(SystemExit) as exit_info:
        compare.main(arguments.split())
    assert exit_info.value.code == 2
    error = capsys.readouterr().err
    assert error.count('\n') == 1
    assert words in error
