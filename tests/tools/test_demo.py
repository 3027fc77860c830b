"""`make demo`: what make does again, what is shown, and two iterations for real."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import MODELS

from tools import demo

REPOSITORY = Path(demo.__file__).resolve().parents[1]
CONFIGS = REPOSITORY / 'configs' / 'demo'
FIGURES = {
    f'{name}{suffix}': value + step
    for name, value in (
        ('bbox_mAP', 0.401),
        ('segm_mAP_cls', 0.365),
        ('segm_mAP', 0.38),
        ('segm_mAP_oracle', 0.45),
        ('segm_mAP_unique', 0.55),
    )
    for suffix, step in (('', 0.0), ('_50', 0.3), ('_75', 0.01))
} | {'mask_iou_pearson': 0.71, 'mask_iou_mae': 0.1234}
# In the order in which they are made.
STEPS = (
    'data/annotations/instances_val.json',
    'train/started',
    'mask_rcnn.pth',
    'scored.pth',
    'figures.json',
    'picture.png',
    'report.html',
)

pytestmark = pytest.mark.skipif(shutil.which('make') is None, reason='needs make')


def make(folder, *words):
    """Runs make on a demo in ``folder``, in the environment of this interpreter."""
    environment = Path(sys.executable).parent.parent
    command = ['make', '--no-print-directory', '-o', 'setup']
    command += [f'VENV={environment}', f'DEMO={folder}', *words]
    # The tests may run below a make, which hands its own variables on.
    env = {k: v for k, v in os.environ.items() if not k.startswith(('MAKE', 'MFLAGS'))}
    env['PYTHONPATH'] = str(REPOSITORY)
    return subprocess.run(command, cwd=REPOSITORY, env=env, capture_output=True, text=True)


@pytest.fixture
def finished(tmp_path):
    """A demo whose files are all there, each newer than the one before."""
    for number, name in enumerate(STEPS):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({f'coco/{key}': value for key, value in FIGURES.items()}))
        later = time.time() + number
        os.utime(path, (later, later))
    return tmp_path


def planned(folder):
    """The commands that make would run."""
    done = make(folder, '-n', 'demo')
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_finished_demo_only_prints_its_table_and_paths(finished):
    done = make(finished, 'demo')
    assert done.returncode == 0, done.stderr
    assert demo.table(FIGURES) in done.stdout
    assert f'page        {finished}/report.html' in done.stdout.splitlines()[-1]
    assert not (finished / 'test').exists()


def test_an_interrupted_training_resumes(finished):
    (finished / 'mask_rcnn.pth').unlink()
    commands = planned(finished)
    assert '--resume' in commands
    assert 'rm -rf ' + str(finished / 'train') not in commands
    assert 'make_demo_data.py' not in commands


def test_another_data_set_trains_from_the_start(finished):
    later = time.time() + 100
    os.utime(finished / STEPS[0], (later, later))
    commands = planned(finished)
    parts = ('rm -rf ' + str(finished / 'train'), 'train mmdet', ' fit ', 'test mmdet', '--picture')
    places = [commands.index(part) for part in parts]
    assert places == sorted(places)


def test_without_a_file_its_step_and_the_later_ones_are_done(finished):
    (finished / 'figures.json').unlink()
    commands = planned(finished)
    assert 'test mmdet' in commands
    assert '--picture' in commands
    assert 'train mmdet' not in commands


def test_table_ranks_the_same_masks_by_each_score():
    assert demo.table(FIGURES).splitlines() == [
        '       ranked by                      AP   AP50   AP75',
        'boxes  class score                  40.1   70.1   41.1',
        'masks  class score                  36.5   66.5   37.5',
        'masks  mask score                   38.0   68.0   39.0',
        'masks  class score x true IoU       45.0   75.0   46.0',
        'masks  true IoU, duplicates last    55.0   85.0   56.0',
        'predicted against true IoU: correlation 0.71, mean absolute error 0.123',
    ]


def test_without_a_demo_one_line_says_what_to_do(tmp_path, capsys):
    assert demo.main([str(tmp_path)]) == 2
    assert '`make demo`' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('name', 'head'),
    [('mask_rcnn_r18_fpn.py', 'StandardRoIHead'), ('ms_rcnn_r18_fpn.py', 'MSRoIHead')],
)
def test_config_builds_and_reads_the_folder_asked_for(name, head, monkeypatch, tmp_path):
    monkeypatch.setenv('DEMO_ROOT', str(tmp_path))
    config = Config.fromfile(CONFIGS / name)
    assert type(MODELS.build(config.model).roi_head).__name__ == head
    assert config.train_dataloader.dataset.data_root == f'{tmp_path}/'
    assert config.test_evaluator.ann_file == f'{tmp_path}/annotations/instances_val.json'


def test_two_iterations_from_nothing_to_the_picture(tmp_path):
    if not Path(sys.executable).with_name('mim').exists():
        pytest.skip('no mim beside this interpreter; `make setup` installs it')
    options = 'train_cfg.max_iters=2 train_cfg.val_interval=2 param_scheduler.0.end=1'
    words = ['DEMO_IMAGES=--train 24 --val 6', f'DEMO_OPTIONS={options}', 'DEMO_FIT=--steps 2']
    done = make(tmp_path, *words, f'{tmp_path}/picture.png')
    assert done.returncode == 0, done.stdout + done.stderr
    figures = demo.read_figures(tmp_path / 'figures.json')
    assert 0 <= figures['segm_mAP'] <= 1
    assert (tmp_path / 'picture.png').stat().st_size > 0
    assert 'train mmdet' not in make(tmp_path, '-n', *words, f'{tmp_path}/picture.png').stdout
