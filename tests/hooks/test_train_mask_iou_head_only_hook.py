from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner

from msrcnn_plugin.checkpoints import read_checkpoint

from ..conftest import tiny_model_cfg
from ..tiny_set import run_config, write_tiny_set

ONLY_THE_HEAD = [dict(type='TrainMaskIoUHeadOnlyHook')]


def run(cfg, name):
    cfg.experiment_name = name
    return Runner.from_cfg(cfg)


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return write_tiny_set(tmp_path_factory.mktemp('data') / 'set')


@pytest.fixture(scope='module')
def trained(data, tmp_path_factory):
    """The checkpoint of a Mask R-CNN."""
    folder = tmp_path_factory.mktemp('mask_rcnn')
    run(run_config(data, folder, model=tiny_model_cfg('StandardRoIHead')), 'mask_rcnn').train()
    return folder / 'epoch_1.pth'


@pytest.fixture(scope='module')
def scored(data, trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp('scored')
    cfg = run_config(data, folder, custom_hooks=ONLY_THE_HEAD, load_from=str(trained))
    runner = run(cfg, 'scored')
    runner.train()
    return runner


def weights(checkpoint):
    return read_checkpoint(checkpoint).weights


def test_every_other_weight_stays_to_the_bit(trained, scored):
    before, after = weights(trained), weights(Path(scored.work_dir, 'epoch_1.pth'))
    assert {name for name in after if name not in before} == {
        name for name in after if '.mask_iou_head.' in name
    }
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_only_the_heads_loss_is_computed(scored):
    losses = {name for name in scored.message_hub.log_scalars if 'loss' in name}
    assert losses == {'train/loss', 'train/loss_mask_iou'}
    assert scored.message_hub.get_scalar('train/loss_mask_iou').data[0][0] > 0


def test_the_optimizer_holds_only_the_head(scored):
    held = [p for group in scored.optim_wrapper.param_groups for p in group['params']]
    head = list(scored.model.roi_head.mask_iou_head.parameters())
    assert {id(p) for p in held} == {id(p) for p in head}


def test_all_else_is_in_eval_mode(scored):
    modes = {name: module.training for name, module in scored.model.named_modules()}
    assert {name for name, training in modes.items() if training} == {
        name for name in modes if 'mask_iou_head' in name
    }


def test_resumes(data, trained, scored, tmp_path):
    start = str(Path(scored.work_dir, 'epoch_1.pth'))
    cfg = run_config(
        data, tmp_path, custom_hooks=ONLY_THE_HEAD, epochs=2, load_from=start, resume=True
    )
    runner = run(cfg, 'resumed')
    runner.train()
    assert (runner.epoch, runner.iter) == (2, 8)
    after = weights(tmp_path / 'epoch_2.pth')
    assert all(torch.equal(after[name], value) for name, value in weights(trained).items())


def test_the_checkpoint_is_an_ordinary_models(data, scored, tmp_path):
    cfg = run_config(data, tmp_path, load_from=str(Path(scored.work_dir, 'epoch_1.pth')))
    metrics = run(cfg, 'tested').test()
    assert 'coco/segm_mAP' in metrics


def test_a_config_with_the_hook_tests(data, scored, tmp_path):
    checkpoint = str(Path(scored.work_dir, 'epoch_1.pth'))
    cfg = run_config(data, tmp_path, custom_hooks=ONLY_THE_HEAD, load_from=checkpoint)
    runner = run(cfg, 'tested_with_the_hook')
    assert 'coco/segm_mAP' in runner.test()
    assert all(p.requires_grad for p in runner.model.parameters())


def test_asks_for_the_trained_model(data, tmp_path):
    runner = run(run_config(data, tmp_path, custom_hooks=ONLY_THE_HEAD), 'without')
    with pytest.raises(ValueError, match="add load_from='mask_rcnn\\.pth'"):
        runner.train()
