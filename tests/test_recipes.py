"""The recipes of the pages for a user's own models, each run as it is written there."""

from __future__ import annotations

import re

import pytest
import torch
from mmengine.config import Config

from msrcnn_plugin.checkpoints import read_checkpoint

from .documents import PAGES, configs
from .own_project import lay_out_project, run

# mmdet copies the merged masks of a cascade that way before it pastes them.
pytestmark = pytest.mark.filterwarnings('ignore:To copy construct from a tensor')
RECIPES = sorted({c for page in PAGES for c in configs(page) if "_base_ = 'my_" in c})


@pytest.fixture(scope='module')
def project(tmp_path_factory):
    """With `my_mask_rcnn.pth`, trained for an epoch."""
    folder = lay_out_project(tmp_path_factory.mktemp('project'))
    trained = run(Config.fromfile(folder / 'my_mask_rcnn.py'), folder / 'trained')
    trained.train()
    (folder / 'trained' / 'epoch_1.pth').rename(folder / 'my_mask_rcnn.pth')
    return folder


def test_there_is_one_for_a_mask_rcnn_a_cascade_and_a_trained_model():
    bases = {re.search(r"_base_ = '(\w+)", code)[1] for code in RECIPES}
    assert bases == {'my_cascade', 'my_mask_rcnn'}
    assert any('load_from' in code for code in RECIPES)


@pytest.mark.parametrize('place', range(len(RECIPES)))
def test_trains_and_tests_as_written(project, place, monkeypatch):
    monkeypatch.chdir(project)
    code = RECIPES[place]
    (project / f'recipe_{place}.py').write_text(code)
    cfg = Config.fromfile(project / f'recipe_{place}.py')
    cfg.model.roi_head.mask_iou_head.update(conv_out_channels=16, fc_out_channels=32)
    runner = run(cfg, project / f'run_{place}')
    runner.train()
    losses = [name for name in runner.message_hub.log_scalars if 'loss_mask_iou' in name]
    assert losses
    assert max(runner.message_hub.get_scalar(name).data[0].max() for name in losses) > 0
    assert 'coco/segm_mAP' in runner.test()
    if 'load_from' in code:
        before = read_checkpoint('my_mask_rcnn.pth').weights
        after = runner.model.state_dict()
        assert all(torch.equal(after[name], value) for name, value in before.items())
