"""The page's command, from a checkpoint and from pairs; the page itself: tests/visualization."""

import json
import subprocess
import sys

import cv2
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope

from tools import report

from ..conftest import tiny_model_cfg
from ..tested_models import write_model
from ..tiny_set import run_config, write_tiny_set


@pytest.fixture(scope='module')
def tested(tmp_path_factory):
    """A folder with a data set, a config, a checkpoint and what the command made of them."""
    folder = tmp_path_factory.mktemp('tested')
    data = write_tiny_set(folder / 'set')
    torch.manual_seed(0)
    init_default_scope('mmdet')
    model = MODELS.build(tiny_model_cfg())
    torch.save(dict(state_dict=model.state_dict()), folder / 'model.pth')
    run_config(data, folder / 'elsewhere').dump(str(folder / 'config.py'))
    command = [folder / 'config.py', folder / 'model.pth', '--work-dir', folder / 'out']
    command += ['--json', folder / 'figures.json', '--name', 'tiny']
    assert report.main([str(part) for part in command]) == 0
    return folder


def test_a_model_that_writes_mask_scores_says_so(tmp_path, capsys):
    data = write_tiny_set(tmp_path / 'set')
    files = write_model('ms_rcnn', data, tmp_path)
    assert report.main([*files, '--work-dir', str(tmp_path / 'out')]) == 0
    assert 'Ranked by mask score the masks reach' in capsys.readouterr().out
    page = (tmp_path / 'out' / 'report.html').read_text(encoding='utf-8')
    assert 'Masks that the mask score misjudges' in page
    assert 'High mask score, poor mask' in page


def from_pairs(folder, *arguments):
    return report.main([str(part) for part in (folder / 'out' / 'pairs.npz', *arguments)])


def gallery_files(folder):
    return (
        '--annotations',
        folder / 'set' / 'annotations.json',
        '--images',
        folder / 'set' / 'images',
        '--predictions',
        folder / 'out' / 'predictions.segm.json',
    )


def test_a_checkpoint_makes_a_page_with_a_gallery_and_its_figures(tested):
    page = (tested / 'out' / 'report.html').read_text(encoding='utf-8')
    assert 'tiny' in page
    assert 'Masks that the class score misjudges' in page
    assert 'boxes' in page
    assert len(page) < 5e6
    figures = json.loads((tested / 'figures.json').read_text())
    assert figures['lead'] == figures['models']['tiny']['sentence']
    assert 'segm_mAP_oracle' in figures['models']['tiny']['figures']
    assert figures['models']['tiny']['box_ap'].keys() == {'', '_50', '_75', '_s', '_m', '_l'}


def test_pairs_make_the_same_figures_and_a_page_without_gallery(tested, tmp_path, capsys):
    paths = ('--out', tmp_path / 'page.html', '--json', tmp_path / 'figures.json')
    assert from_pairs(tested, *paths, '--name', 'tiny') == 0
    own = json.loads((tested / 'figures.json').read_text())['models']['tiny']
    again = json.loads((tmp_path / 'figures.json').read_text())['models']['tiny']
    assert again['figures'] == pytest.approx(own['figures'])
    assert 'misjudges' not in (tmp_path / 'page.html').read_text(encoding='utf-8')
    sentence, _, head, *_ = shown = capsys.readouterr().out.splitlines()
    assert sentence == own['sentence']
    assert (
        head.split() == '| ranked by | AP | AP50 | AP75 | AP small | AP medium | AP large |'.split()
    )
    assert ['page', str(tmp_path / 'page.html')] in [line.split() for line in shown]


def test_pairs_with_their_files_make_the_gallery(tested, tmp_path):
    assert from_pairs(tested, '--out', tmp_path / 'page.html', *gallery_files(tested)) == 0
    assert 'misjudges' in (tmp_path / 'page.html').read_text(encoding='utf-8')


def test_the_page_tells_its_command_and_no_folder(tested):
    page = (tested / 'out' / 'report.html').read_text(encoding='utf-8')
    footer = 'python tools/report.py config.py model.pth --work-dir out --json figures.json'
    assert f'{footer} --name tiny' in page
    assert str(tested) not in page


def test_no_cases_is_no_gallery(tested, tmp_path):
    arguments = ('--out', tmp_path / 'page.html', '--cases', 0, *gallery_files(tested))
    assert from_pairs(tested, *arguments) == 0
    assert 'misjudges' not in (tmp_path / 'page.html').read_text(encoding='utf-8')


def test_a_figure_of_the_gist(tested, tmp_path):
    paths = ('--out', tmp_path / 'page.html', '--figure', tmp_path / 'gist.png')
    assert from_pairs(tested, *paths) == 0
    height, width, _ = cv2.imread(str(tmp_path / 'gist.png')).shape
    assert width > 2 * height


def test_a_gallery_that_fails_says_what_is_kept(tested, tmp_path, capsys):
    files = list(gallery_files(tested))
    files[3] = tmp_path
    assert from_pairs(tested, '--out', tmp_path / 'page.html', *files) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert 'no readable image' in line
    assert str(tested / 'out' / 'pairs.npz') in line
    assert not (tmp_path / 'page.html').exists()


def test_pairs_that_cannot_be_read_are_one_line(tmp_path, capsys):
    (tmp_path / 'pairs.npz').write_bytes(b'no archive')
    assert report.main([str(tmp_path / 'pairs.npz')]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert 'no readable pairs file' in line


@pytest.mark.parametrize(
    ('arguments', 'advice'),
    [
        ([], 'required'),
        (['config.py'], 'CONFIG CHECKPOINT, or a PAIRS_FILE'),
        (['a', 'b', 'c'], '3 files'),
        (['gone.py', 'gone.pth'], 'no such file'),
        (['gone.npz'], 'no such file'),
        (['a.py', 'b.pth', '--images', 'folder'], 'goes with a PAIRS_FILE'),
        (['a.npz', '--images', 'folder'], 'together'),
        (['a.npz', '--cases', '-1'], 'give 0 to 24'),
        (['a.npz', '--cases', '25'], 'give 0 to 24'),
        ([__file__, __file__, '--json', 'no/folder/a.json'], 'there is no folder'),
        ([__file__, __file__, '--figure', 'gist.jpg'], 'end it in one of'),
        (['a.py', 'b.pth', '--cfg-options', 'lr'], 'KEY=VALUE'),
    ],
)
def test_wrong_arguments_end_in_one_line_and_status_2(arguments, advice, capsys):
    with pytest.raises(SystemExit) as stopped:
        report.parse_args(arguments)
    lines = capsys.readouterr().err.strip().splitlines()
    assert stopped.value.code == 2
    assert len(lines) == 1
    assert advice in lines[0]


def test_help_is_answered_from_anywhere(tmp_path):
    command = [sys.executable, report.__file__, '--help']
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0
    assert 'PAIRS_FILE' in done.stdout
