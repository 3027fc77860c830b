"""README's recipes for a user's own models, each run as it is written there."""

import re

import pytest
import torch
from mmengine.config import Config

from .own_project import lay_out_project, run
from .test_readme import FENCE, REPOSITORY

# mmdet copies the merged masks of a cascade that way before it pastes them.
pytestmark = pytest.mark.filterwarnings('ignore:To copy construct from a tensor')


def recipes():
    """The configs in README over one of a user's own, by that one's name."""
    blocks = [code for _, code in FENCE.findall((REPOSITORY / 'README.md').read_text())]
    bases = [(re.match(r"_base_ = '(my_\w+)\.py'", code), code) for code in blocks]
    return [(match[1], code) for match, code in bases if match]


@pytest.fixture(scope='module')
def project(tmp_path_factory):
    """With `my_mask_rcnn.pth`, trained for an epoch."""
    folder = lay_out_project(tmp_path_factory.mktemp('project'))
    trained = run(Config.fromfile(folder / 'my_mask_rcnn.py'), folder / 'trained')
    trained.train()
    (folder / 'trained' / 'epoch_1.pth').rename(folder / 'my_mask_rcnn.pth')
    return folder


def test_there_is_one_for_a_mask_rcnn_a_cascade_and_a_trained_model():
    found = [base for base, _ in recipes()]
    assert sorted(found) == ['my_cascade', 'my_mask_rcnn', 'my_mask_rcnn']
    assert sum('my_mask_rcnn.pth' in code for _, code in recipes()) == 1


@pytest.mark.parametrize('place', range(3))
def test_trains_and_tests_as_written(project, place, monkeypatch):
    monkeypatch.chdir(project)
    base, code = recipes()[place]
    assert len([line for line in code.splitlines() if line.strip()]) <= 6
    (project / f'recipe_{place}.py').write_text(code)
    cfg = Config.fromfile(project / f'recipe_{place}.py')
    runner = run(cfg, project / f'{base}_{place}')
    assert type(runner.visualizer).__name__ == 'MaskScoringVisualizer'
    runner.train()
    losses = [name for name in runner.message_hub.log_scalars if 'loss_mask_iou' in name]
    assert losses
    assert max(runner.message_hub.get_scalar(name).data[0].max() for name in losses) > 0
    assert 'coco/segm_mAP' in runner.test()
    if 'load_from' in code:
        before = torch.load('my_mask_rcnn.pth', weights_only=True)['state_dict']
        after = runner.model.state_dict()
        assert all(torch.equal(after[name], value) for name, value in before.items())
