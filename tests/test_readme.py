"""Every block of README runs as written, in order, in a user's folder."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from pycocotools import mask as mask_utils

from msrcnn_plugin.checkpoints.files import read_content
from msrcnn_plugin.compat import mim_package

from .conftest import disc
from .documents import README, REPOSITORY, blocks
from .own_project import lay_out_project
from .tiny_set import add_copies

SIDE = 64
CALIBRATE, SCORE = (REPOSITORY / 'docs' / name for name in ('calibrate.md', 'score.md'))
IMAGES = 24  # enough for msrcnn fit


@pytest.fixture(scope='module')
def project(tmp_path_factory):
    """A folder with a user's Mask R-CNN, its weights, and two COCO files of any model."""
    folder = lay_out_project(tmp_path_factory.mktemp('project'))
    add_copies(folder / 'set', IMAGES // 8)
    cfg = Config.fromfile(folder / 'my_mask_rcnn.py')
    cfg.log_level = 'INFO'
    cfg.pop('work_dir')
    cfg.dump(folder / 'my_mask_rcnn.py')
    init_default_scope('mmdet')
    model = MODELS.build(cfg.model)
    model.init_weights()
    torch.save(dict(state_dict=model.state_dict()), folder / 'my_mask_rcnn.pth')
    write_coco_files(folder)
    return folder


def write_coco_files(folder):
    """Two images with three discs each, and detections that are off by 2, 6 and 12 pixels."""
    images = [dict(id=i, file_name=f'{i}.jpg', height=SIDE, width=SIDE) for i in (1, 2)]
    annotations, results = [], []
    for image in images:
        for x, off, score in ((16, 2, 0.8), (32, 6, 0.82), (48, 12, 0.81)):
            truth, found = (rle(disc(SIDE, SIDE, at, 32, 14)) for at in (x, x - off))
            entry = dict(image_id=image['id'], category_id=1)
            area, box = float(mask_utils.area(truth)), mask_utils.toBbox(truth).tolist()
            annotations.append(
                dict(entry, id=len(annotations) + 1, segmentation=truth, area=area, bbox=box)
            )
            annotations[-1]['iscrowd'] = 0
            mask_score = score if image['id'] == 1 else 1 - off / 20
            results.append(dict(entry, segmentation=found, score=score, mask_score=mask_score))
    categories = [dict(id=1, name='disc')]
    truth = dict(images=images, annotations=annotations, categories=categories)
    (folder / 'gt.json').write_text(json.dumps(truth))
    (folder / 'dt.json').write_text(json.dumps(results))


def rle(mask):
    encoded = mask_utils.encode(mask.copy(order='F'))
    return dict(encoded, counts=encoded['counts'].decode())


def run(command, folder):
    """What a command prints; it finds mim, msrcnn and this checkout as an installation has them."""
    paths = f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}'
    env = {**os.environ, 'PATH': paths, 'PYTHONPATH': str(REPOSITORY)}
    done = subprocess.run(
        command, cwd=folder, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def in_shell(code, folder):
    # OneDL's mim knows mmdet by another name.
    return run(['bash', '-ec', re.sub(r'(mim \w+) mmdet\b', rf'\1 {mim_package()}', code)], folder)


@pytest.fixture(scope='module')
def followed(project):
    """The folder after every block of README, whose output is what README shows."""
    printed = ''
    for language, code in blocks(README):
        named = re.match(r'# (\w+\.py)\n', code)
        if language == 'python' and named:
            (project / named[1]).write_text(code)
        elif language == 'python':
            run([sys.executable, '-c', code], project)
        elif language == 'bash' and not re.match(r'make |pip ', code):
            printed = in_shell(code, project)
        elif language == 'text':
            for line in code.splitlines():
                assert promise(line) in ' '.join(printed.split()), printed
    return project


def promise(line):
    """The words of a shown line up to its first number: other data give another number."""
    return re.split(r' *[-+]?\d| …', line)[0].strip()


def test_blocks_run_as_written(followed):
    assert (followed / 'scored.html').is_file()
    assert (followed / 'work_dirs/dt/report/report.html').is_file()


def test_training_the_head_alone_and_calibrating_it_run_as_written(followed):
    config, training = (
        next(code for language, code in blocks(SCORE) if language == kind and 'my_ms_rcnn' in code)
        for kind in ('python', 'bash')
    )
    # The tiny head has to learn something in its few steps.
    quick = 'optim_wrapper = dict(optimizer=dict(lr=0.1))'
    (followed / 'my_ms_rcnn.py').write_text(f'{config}\n{quick}\n')
    in_shell(training, followed)
    shutil.copy(followed / 'work_dirs/my_ms_rcnn/epoch_2.pth', followed)
    (command,) = (code for language, code in blocks(CALIBRATE) if language == 'bash')
    in_shell(command, followed)
    weights = read_content(followed / 'calibrated.pth')['state_dict']
    cfg = Config.fromfile(followed / 'my_ms_rcnn.py')
    option = re.search(r'`--cfg-options ([\w.]+)=(\w+)`', CALIBRATE.read_text())
    cfg.merge_from_dict({option[1]: option[2]})
    init_default_scope('mmdet')
    model = MODELS.build(cfg.model)
    model.load_state_dict(weights, strict=True)
    assert torch.equal(
        model.roi_head.mask_iou_calibration.values, weights['roi_head.mask_iou_calibration.values']
    )
