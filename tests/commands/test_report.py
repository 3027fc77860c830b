"""The page's command, from a checkpoint, from matches and from COCO files."""

import json

import cv2
import pytest
from mmengine.registry import init_default_scope

from msrcnn_plugin.commands import report
from msrcnn_plugin.commands.main import main

from ..evaluation.coco_samples import small_results, small_truth
from ..tested_models import write_model
from ..tiny_set import write_tiny_set


@pytest.fixture(scope='module')
def tested(tmp_path_factory):
    """A folder with a data set and what the command left of a checkpoint's test."""
    folder = tmp_path_factory.mktemp('tested')
    init_default_scope('mmdet')
    config, checkpoint = write_model('plugin', write_tiny_set(folder / 'set'), folder)
    options = ['--out', f'{folder}/out', '--json', f'{folder}/figures.json', '--name', 'tiny']
    assert main(['report', config, checkpoint, *options]) == 0
    return folder


def from_matches(folder, *words):
    return main(['report', f'{folder}/out/pairs.npz', *map(str, words)])


def files(folder):
    annotations = ['--annotations', folder / 'set' / 'annotations.json']
    return [
        *annotations,
        *('--images', folder / 'set' / 'images'),
        *('--results', folder / 'out' / 'predictions.segm.json'),
    ]


def page_of(folder):
    return (folder / 'report.html').read_text(encoding='utf-8')


def models(file):
    return json.loads(file.read_text())['models']


def test_a_checkpoint_makes_a_page_with_a_gallery_and_its_figures(tested):
    page = page_of(tested / 'out')
    assert 'Masks that the class score misjudges' in page
    assert 'boxes' in page
    assert 'msrcnn report plugin.py plugin.pth --out out --json figures.json' in page
    assert str(tested) not in page
    figures = models(tested / 'figures.json')['tiny']
    assert 'segm_mAP_oracle' in figures['figures']
    assert '_50' in figures['box_ap']


def test_a_model_that_writes_mask_scores_says_so(tmp_path, capsys):
    words = write_model('ms_rcnn', write_tiny_set(tmp_path / 'set'), tmp_path)
    assert main(['report', *words, '--out', str(tmp_path / 'out')]) == 0
    assert 'Ranked by mask score the masks reach' in capsys.readouterr().out
    assert 'High mask score, poor mask' in page_of(tmp_path / 'out')


def test_matches_give_the_same_figures(tested, tmp_path, capsys):
    words = ['--out', tmp_path, '--json', tmp_path / 'figures.json', '--name', 'tiny']
    assert from_matches(tested, *words) == 0
    own, again = models(tested / 'figures.json')['tiny'], models(tmp_path / 'figures.json')['tiny']
    assert again['figures'] == pytest.approx(own['figures'], nan_ok=True)
    assert 'misjudges' not in page_of(tmp_path)
    shown = capsys.readouterr().out
    assert shown.startswith(own['sentence'])
    assert '| ranked by' in shown
    ece = again['figures']['cls_score_ece']
    assert f'calibration error (ECE) of class score: {ece:.3f}\n' in shown
    assert 'calibration error (ECE) of predicted IoU: ' in shown
    assert f'page     {tmp_path}/report.html' in shown


def test_matches_with_their_files_have_a_gallery(tested, tmp_path):
    figure = tmp_path / 'gist.png'
    assert from_matches(tested, '--out', tmp_path, '--figure', figure, *files(tested)) == 0
    assert 'misjudges' in page_of(tmp_path)
    height, width, _ = cv2.imread(str(figure)).shape
    assert width > 2 * height
    assert from_matches(tested, '--out', tmp_path, '--cases', 0, *files(tested)) == 0
    assert 'misjudges' not in page_of(tmp_path)


def test_coco_files_give_the_figures_of_the_checkpoint(tested, tmp_path):
    words = ['--out', tmp_path / 'out', '--json', tmp_path / 'figures.json', *files(tested)]
    assert main(['report', *map(str, words)]) == 0
    own = models(tested / 'figures.json')['tiny']['figures']
    (again,) = models(tmp_path / 'figures.json').values()
    # CocoMetric writes the mask score as `score`.
    assert again['figures']['segm_mAP_cls'] == pytest.approx(own['segm_mAP'])
    assert again['figures']['segm_mAP_unique'] == pytest.approx(own['segm_mAP_unique'])
    assert 'misjudges' in page_of(tmp_path / 'out')
    assert main(['report', f'{tmp_path}/out/pairs.npz']) == 0


def test_boundary_ap_on_request(tmp_path, capsys):
    words = ['report', '--out', str(tmp_path), '--json', f'{tmp_path}/figures.json', '--boundary']
    for option, content in (('annotations', small_truth()), ('results', small_results())):
        file = tmp_path / f'{option}.json'
        file.write_text(json.dumps(content))
        words += [f'--{option}', str(file)]
    assert main(words) == 0
    (model,) = models(tmp_path / 'figures.json').values()
    # Both objects are found exactly, one of them twice.
    assert model['figures']['boundary_mAP'] == pytest.approx(1)
    assert model['figures']['mean_boundary_iou'] == 1
    assert model['detection_errors']['score']['olrp'] == 0
    page = page_of(tmp_path)
    assert 'boundary AP75' in page
    assert 'boundary AP75' in capsys.readouterr().out
    assert 'a mean boundary IoU of 1.00' in page
    assert main(['report', f'{tmp_path}/pairs.npz', '--boundary']) == 2
    assert '--boundary needs the masks' in capsys.readouterr().err


def test_a_score_that_no_result_has(tested, tmp_path, capsys):
    words = ['--out', tmp_path, '--score', 'score', 'mask_score', *files(tested)]
    assert main(['report', *map(str, words)]) == 2
    assert 'has the key mask_score' in capsys.readouterr().err


def test_a_bad_image_leaves_the_page(tested, tmp_path, capsys):
    words = files(tested)
    words[3] = tmp_path
    assert from_matches(tested, '--out', tmp_path, *words) == 2
    assert 'has no gallery' in capsys.readouterr().err
    assert 'misjudges' not in page_of(tmp_path)


def test_a_page_that_cannot_be_written_leaves_the_matches(tmp_path, monkeypatch, capsys):
    from msrcnn_plugin.visualization import report as pages

    def full(*args):
        raise OSError('no space left')

    monkeypatch.setattr(pages, 'write_report', full)
    words = write_model('plugin', write_tiny_set(tmp_path / 'set'), tmp_path)
    assert main(['report', *words, '--out', str(tmp_path / 'out'), '--cases', '0']) == 2
    shown = capsys.readouterr()
    assert 'mask AP' in shown.out  # the figures came first
    assert f'no space left. The matches are kept: msrcnn report {tmp_path}/out/pairs' in shown.err
    monkeypatch.undo()
    assert from_matches(tmp_path) == 0


@pytest.mark.parametrize('option', ['--out', '--json', '--figure'])
def test_an_output_that_cannot_be_written_is_refused_before_the_test(
    option, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(report, 'judge', lambda *args: pytest.fail('tested'))
    (tmp_path / 'file').touch()
    path = tmp_path / 'file' / 'below.png'
    assert main(['report', __file__, __file__, option, str(path)]) == 2
    assert f'{path}' in capsys.readouterr().err


def test_a_file_that_is_no_matches_takes_one_line(tmp_path, capsys):
    (tmp_path / 'pairs.npz').write_bytes(b'no archive')
    assert main(['report', str(tmp_path / 'pairs.npz')]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert 'pairs.npz' in line


@pytest.mark.parametrize(
    ('words', 'advice'),
    [
        ([], 'give CONFIG CHECKPOINT, or PAIRS.npz, or --annotations'),
        (['config.py'], 'CONFIG CHECKPOINT, or a PAIRS.npz'),
        (['a', 'b', 'c'], '3 files'),
        (['gone.py', 'gone.pth'], 'no such file'),
        (['gone.npz'], 'no such file'),
        (['--annotations', 'gone.json'], 'give CONFIG'),
        (['--annotations', 'gone.json', '--results', 'gone.json'], 'no such file'),
        (['a.py', 'b.pth', '--images', 'folder'], 'go without a CONFIG'),
        (['a.npz', '--images', 'folder'], 'together'),
        (['a.npz', '--figure', 'gist.jpg'], 'end it in one of'),
    ],
)
def test_wrong_arguments_take_one_line(words, advice, capsys):
    assert main(['report', *words]) == 2
    error = capsys.readouterr().err
    assert error.count('\n') == 1
    assert advice in error
