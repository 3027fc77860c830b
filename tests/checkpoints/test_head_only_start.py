"""A trained model without mask scores -> start -> head-only training -> resumed -> whole model."""

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.runner import load_checkpoint

from msrcnn_plugin import compat
from msrcnn_plugin.checkpoints import read_checkpoint
from msrcnn_plugin.commands.main import main

from ..own_project import lay_out_project, run

# mmdet copies the merged masks of a cascade that way before it pastes them.
pytestmark = [
    pytest.mark.filterwarnings('ignore:To copy construct from a tensor'),
    pytest.mark.skipif(
        not compat.grants_types_by_name(),
        reason='torch below 2.6 reads weights and nothing beside them, and the plugin says so',
    ),
]

NARROW = dict(type='MSMaskIoUHead', conv_out_channels=16, fc_out_channels=32)
FIVE_LINES = """
custom_imports = dict(imports=['msrcnn_plugin'], allow_failed_imports=False)
model = dict(roi_head=dict(type='{head}', mask_iou_head={narrow}))
custom_hooks = [dict(type='TrainMaskIoUHeadOnlyHook')]
load_from = '{start}'
"""


@pytest.fixture(scope='module')
def project(tmp_path_factory):
    return lay_out_project(tmp_path_factory.mktemp('project'))


def weights(path):
    return read_checkpoint(path).weights


def test_from_a_trained_host_to_a_model_with_mask_scores(project, capsys):
    host = 'my_cascade'  # more stages to find the head in than a Mask R-CNN's
    start = project / f'{host}_start.pth'
    config = project / f'{host}_head_only.py'
    base = f"_base_ = '{host}.py'"
    config.write_text(base + FIVE_LINES.format(head='MSCascadeRoIHead', narrow=NARROW, start=start))
    run(Config.fromfile(project / f'{host}.py'), project / host).train()

    trained = project / host / 'epoch_1.pth'
    assert main(['convert', str(trained), str(start), '--config', str(config)]) == 0
    assert 'initialised by the training' in capsys.readouterr().out

    run(Config.fromfile(config), project / f'{host}_scored').train()
    resumed = Config.fromfile(config)
    # As `mim train --resume` has it.
    resumed.merge_from_dict(dict(resume=True, load_from=None, train_cfg=dict(max_epochs=2)))
    runner = run(resumed, project / f'{host}_scored')
    runner.train()
    assert (runner.epoch, runner.iter) == (2, 8)

    last = project / f'{host}_scored' / 'epoch_2.pth'
    assert all(torch.equal(weights(last)[name], v) for name, v in weights(start).items())
    heads = [name for name in weights(last) if 'mask_iou_head' in name]
    first = weights(project / f'{host}_scored' / 'epoch_1.pth')
    assert all(not torch.equal(first[name], weights(last)[name]) for name in heads)

    ordinary = Config.fromfile(config)
    model = MODELS.build(ordinary.model)
    load_checkpoint(model, str(last), map_location='cpu', strict=True)
    assert len(heads) == 2 * (4 + 2 + 1)
