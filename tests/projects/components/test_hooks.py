import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

import projects.ablations.components  # noqa: F401  (registers them)
from msrcnn_plugin.checkpoints import read_checkpoint, read_content

from ...conftest import tiny_model_cfg
from ...models.hosts import HOST_WARNINGS
from ...tiny_set import run_config, write_tiny_set

pytestmark = HOST_WARNINGS
ANEW = [dict(type='TrainMaskHeadAnewHook')]


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return write_tiny_set(tmp_path_factory.mktemp('data') / 'set')


def runner_of(data, folder, **changes):
    cfg = run_config(data, folder, model=tiny_model_cfg('StandardRoIHead'), **changes)
    cfg.experiment_name = f'{folder.name}_{len(changes)}'
    return Runner.from_cfg(cfg)


def weights(checkpoint):
    return read_checkpoint(checkpoint).weights


@pytest.fixture
def trunk(data, tmp_path):
    """A checkpoint whose mask head nobody could miss: what begins at 7 ends near 7."""
    runner_of(data, tmp_path / 'trunk').train()
    checkpoint = tmp_path / 'trunk' / 'epoch_1.pth'
    content = read_content(checkpoint)
    for name, value in content['state_dict'].items():
        if '.mask_head.' in name:
            value.fill_(7)
    torch.save(content, checkpoint)
    return checkpoint


class Seen(Hook):
    """Keeps the mask head's weights as the first step finds them."""

    priority = 'LOWEST'

    def before_train(self, runner):
        head = runner.model.roi_head.mask_head
        self.weights = {name: value.clone() for name, value in head.state_dict().items()}


def test_the_mask_head_alone_is_trained_from_its_initial_weights(data, trunk, tmp_path):
    runner_of(data, tmp_path / 'anew', custom_hooks=ANEW, load_from=str(trunk)).train()
    before, after = weights(trunk), weights(tmp_path / 'anew' / 'epoch_1.pth')
    assert before.keys() == after.keys()
    for name, value in after.items():
        assert torch.equal(value, before[name]) == ('.mask_head.' not in name), name
        assert value.abs().max() < 6 or '.mask_head.' not in name, name


def test_a_resumed_training_goes_on_with_what_it_has_learned(data, trunk, tmp_path):
    folder = tmp_path / 'anew'
    runner_of(data, folder, custom_hooks=ANEW, load_from=str(trunk)).train()
    learned = weights(folder / 'epoch_1.pth')
    resumed = runner_of(data, folder, custom_hooks=ANEW, resume=True, epochs=2)
    seen = Seen()
    resumed.register_hook(seen)
    resumed.train()
    assert resumed.epoch == 2
    for name, value in seen.weights.items():
        assert torch.equal(value, learned[f'roi_head.mask_head.{name}']), name
