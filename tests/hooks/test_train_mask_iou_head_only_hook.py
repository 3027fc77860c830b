import copy
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from msrcnn_plugin.checkpoints import read_checkpoint, read_content

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


def changed(checkpoint, path, change):
    content = dict(read_content(checkpoint))
    content['state_dict'] = change(content['state_dict'])
    torch.save(content, path)
    return str(path)


def of_one_class(weights):
    rows = {'fc_cls': 2, 'fc_reg': 4, 'conv_logits': 1}
    return {name: v[: rows.get(name.split('.')[-2], len(v) if v.dim() else None)] if v.dim() else v
            for name, v in weights.items()}  # fmt: skip


def of_another_tool(weights):
    return {f'detector.{name}': value for name, value in weights.items()}


def without_its_neck(weights):
    return {name: value for name, value in weights.items() if 'neck' not in name}


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (of_one_class, r'6 of \d+ do not fit .*fc_cls\.weight \(2, 32\) where .* \(4, 32\)'),
        (of_another_tool, r'(\d+) of \1 are missing \(backbone\.conv1\.weight, .* more\)'),
        (without_its_neck, r'\d+ of \d+ are missing \(neck\.lateral_convs\.0\.conv\.weight, '),
    ],
)
def test_weights_that_would_be_frozen_untrained_are_refused(
    data, trained, tmp_path, change, message
):
    start = changed(trained, tmp_path / 'start.pth', change)
    cfg = run_config(data, tmp_path, custom_hooks=ONLY_THE_HEAD, load_from=start)
    runner = run(cfg, f'refused_{change.__name__}')
    with pytest.raises(ValueError, match=message):
        runner.train()
    assert runner.iter == 0


def test_a_checkpoint_of_a_wrapped_model_is_taken(data, trained, tmp_path):
    wrapped = changed(
        trained, tmp_path / 'start.pth', lambda w: {f'module.{name}': v for name, v in w.items()}
    )
    cfg = run_config(data, tmp_path, custom_hooks=ONLY_THE_HEAD, load_from=wrapped)
    run(cfg, 'wrapped').train()
    assert (tmp_path / 'epoch_1.pth').exists()


def test_nothing_to_resume_is_refused(data, tmp_path):
    runner = run(run_config(data, tmp_path, custom_hooks=ONLY_THE_HEAD, resume=True), 'nothing')
    with pytest.raises(ValueError, match='no checkpoint was found to resume in'):
        runner.train()
    assert runner.iter == 0


def test_a_copy_of_the_model_gives_the_same_losses(scored, trained, data, tmp_path):
    """EMAHook makes one, in the middle of the run."""
    copies = []

    class Copies(Hook):
        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            twin = copy.deepcopy(runner.model)
            twin.roi_head.mask_iou_head.fc_mask_iou.bias.data.fill_(3)
            inputs = twin.data_preprocessor(data_batch, training=True)
            torch.manual_seed(0)
            copies.append((twin(**inputs, mode='loss'), outputs))

    ema = dict(type='EMAHook')
    cfg = run_config(data, tmp_path, custom_hooks=[ema, *ONLY_THE_HEAD], load_from=str(trained))
    runner = run(cfg, 'copied')
    runner.register_hook(Copies())
    runner.train()
    assert {frozenset(of_copy) for of_copy, _ in copies} == {frozenset({'loss_mask_iou'})}
    # The copy's own head is asked: its predictions of 3 cost more.
    first, outputs = copies[0]
    assert first['loss_mask_iou'] > 1 > outputs['loss_mask_iou']


def test_afterwards_the_model_gives_all_its_losses(scored):
    model = scored.model
    assert not model.roi_head.only_mask_iou_loss
    assert 'loss_by_feat' not in vars(model.rpn_head)


def test_asks_for_the_trained_model(data, tmp_path):
    runner = run(run_config(data, tmp_path, custom_hooks=ONLY_THE_HEAD), 'without')
    with pytest.raises(ValueError, match="add load_from='mask_rcnn\\.pth'"):
        runner.train()
