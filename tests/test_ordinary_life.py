"""What people do with any model of mmdet, each once with mask scoring on, through the runner.

AMP, SyncBN, deep copies and EMA of the head alone are tested where those parts are.
"""

import copy
import math
import pickle

import pytest
import torch
from mmengine.runner import Runner

from .conftest import tiny_model_cfg
from .tiny_set import CLASSES, SIDE, run_config, write_tiny_set

CROPPED = dict(type='FilterAnnotations', min_gt_bbox_wh=(1, 1), by_mask=True)
SCALE = dict(img_scale=(SIDE, SIDE), max_cached_images=4, random_pop=False)


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return write_tiny_set(tmp_path_factory.mktemp('data') / 'set')


def runner_of(cfg, name):
    cfg.experiment_name = f'{name}_{cfg.work_dir}'
    return Runner.from_cfg(cfg)


def loss_of(runner):
    values = runner.message_hub.get_scalar('train/loss_mask_iou').data[0]
    assert all(math.isfinite(value) for value in values)
    assert any(values)
    return values


def wrapped(**wrapper):
    def change(cfg):
        inner = cfg.train_dataloader.dataset
        cfg.train_dataloader.dataset = dict(dataset=inner, **wrapper)

    return change


def concatenated(cfg):
    inner = cfg.train_dataloader.dataset
    cfg.train_dataloader.dataset = dict(
        type='ConcatDataset', datasets=[copy.deepcopy(inner), copy.deepcopy(inner)]
    )


def mixed(cfg):
    """CopyPaste takes two images of a data set, after they are loaded."""
    inner = cfg.train_dataloader.dataset
    *load, pack = inner.pipeline
    inner.pipeline = load
    # An image without objects pastes nothing, and mmdet stacks the masks of none.
    inner.filter_cfg = dict(filter_empty_gt=True)
    cfg.train_dataloader.dataset = dict(
        type='MultiImageMixDataset',
        dataset=inner,
        pipeline=[dict(type='CopyPaste', max_num_pasted=2), CROPPED, pack],
    )


def cached(*transforms):
    def change(cfg):
        pipeline = cfg.train_dataloader.dataset.pipeline
        cfg.train_dataloader.dataset.pipeline = [*pipeline[:-1], *transforms, CROPPED, pipeline[-1]]

    return change


def options(**changes):
    return lambda cfg: cfg.merge_from_dict(changes)


# Name: change of the config, iterations of its epoch.
LIVES = {
    'repeat': (wrapped(type='RepeatDataset', times=2), 8),
    'class_balanced': (wrapped(type='ClassBalancedDataset', oversample_thr=0.5), None),
    'concat': (concatenated, 8),
    'mosaic': (cached(dict(type='CachedMosaic', **SCALE)), 4),
    'mixup': (cached(dict(type='CachedMixUp', ratio_range=(1.0, 1.0), **SCALE)), 4),
    'copy_paste': (mixed, None),
    'ema': (options(custom_hooks=[dict(type='EMAHook')]), 4),
}


@pytest.mark.parametrize('name', LIVES)
def test_trains(data, tmp_path, name):
    change, iterations = LIVES[name]
    cfg = run_config(data, tmp_path)
    change(cfg)
    runner = runner_of(cfg, name)
    runner.train()
    assert runner.iter == (iterations or len(runner.train_dataloader)) == len(loss_of(runner))
    assert 'coco/segm_mAP' in runner.test()


def test_accumulated_gradients_are_one_step_of_two_batches(data, tmp_path):
    cfg = run_config(data, tmp_path)
    cfg.optim_wrapper.accumulative_counts = 2
    runner = runner_of(cfg, 'accumulate')
    wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    steps, step = [], wrapper.step
    wrapper.step = lambda **kwargs: (steps.append(runner.iter), step(**kwargs))
    runner.optim_wrapper = wrapper
    runner.train()
    assert steps == [1, 3]
    loss_of(runner)


def test_resumes_in_the_middle_of_an_epoch(data, tmp_path):
    middle = dict(type='CheckpointHook', by_epoch=False, interval=3)
    loop = dict(type='IterBasedTrainLoop', max_iters=3, val_interval=99)
    changes = dict(train_cfg=loop, log_processor=dict(by_epoch=False))
    first = runner_of(run_config(data, tmp_path, **changes), 'first')
    first.register_hook(middle)
    first.train()
    changes['train_cfg'] = dict(loop, max_iters=4)
    second = runner_of(run_config(data, tmp_path, resume=True, **changes), 'second')
    second.register_hook(middle)
    second.train()
    assert (first.iter, second.iter) == (3, 4)
    # The last of four batches has no object, and a loss of 0: it is the one that was left.
    assert second.message_hub.get_scalar('train/loss_mask_iou').data[0][-1] == 0
    assert len(loss_of(second)) == 4


@pytest.fixture(scope='module')
def trained(data, tmp_path_factory):
    runner = runner_of(run_config(data, tmp_path_factory.mktemp('trained')), 'trained')
    runner.train()
    return f'{runner.work_dir}/epoch_1.pth'


def test_a_checkpoint_is_fine_tuned_to_another_number_of_classes(data, trained, tmp_path):
    model = tiny_model_cfg(num_classes=5)
    cfg = run_config(data, tmp_path, model=model, load_from=trained)
    cfg.train_dataloader.dataset.metainfo = dict(classes=(*CLASSES, 'bus', 'cat'))
    runner = runner_of(cfg, 'five_classes')
    runner.load_or_resume()
    kept = torch.load(trained, weights_only=False)['state_dict']
    head = runner.model.roi_head.mask_iou_head
    assert torch.equal(head.convs[0].weight, kept['roi_head.mask_iou_head.convs.0.weight'])
    assert head.fc_mask_iou.out_features == 5
    runner.train()
    loss_of(runner)


def test_a_batch_at_test_gives_what_its_images_give_alone(data, trained, tmp_path):
    found = {}
    for size in (1, 3):
        cfg = run_config(data, tmp_path / str(size), load_from=trained)
        cfg.test_dataloader.batch_size = size
        dumped = str(tmp_path / f'{size}.pkl')
        cfg.test_evaluator = [cfg.test_evaluator, dict(type='DumpDetResults', out_file_path=dumped)]
        figures = runner_of(cfg, f'batch_{size}').test()
        with open(dumped, 'rb') as file:
            samples = pickle.load(file)
        assert len(samples) == 8
        pred = [sample['pred_instances'] for sample in samples]
        # What DumpDetResults writes holds the added fields, too.
        scores = torch.cat([each['mask_scores'] for each in pred])
        ious = torch.cat([each['mask_ious'] for each in pred])
        assert len(scores) == len(ious) > 0
        found[size] = figures['coco/segm_mAP'], scores
    assert found[1][0] == pytest.approx(found[3][0], abs=2e-3)
    torch.testing.assert_close(found[1][1], found[3][1], rtol=1e-3, atol=1e-4)


def test_the_rate_is_scaled_to_the_batch(data, tmp_path):
    # What --auto-scale-lr sets: a rate for 16 images, and 2 are given.
    scale = dict(enable=True, base_batch_size=16)
    runner = runner_of(run_config(data, tmp_path, auto_scale_lr=scale), 'auto_scale')
    runner.train()
    assert runner.optim_wrapper.get_lr()['lr'] == [pytest.approx(0.01 * 2 / 16)]


@pytest.mark.parametrize(
    ('backend', 'package', 'written'),
    [
        (dict(type='TensorboardVisBackend'), 'tensorboard', '*tfevents*'),
        (dict(type='MLflowVisBackend', exp_name='tiny'), 'mlflow', 'loss_mask_iou'),
    ],
)
def test_the_loss_reaches_the_loggers(data, tmp_path, backend, package, written):
    pytest.importorskip(package, reason=f'{package} is not installed')
    if package == 'mlflow':
        backend = dict(backend, tracking_uri=(tmp_path / 'mlflow').as_uri())
    visualizer = dict(type='MaskScoringVisualizer', vis_backends=[backend], name=package)
    runner = runner_of(run_config(data, tmp_path, visualizer=visualizer), package)
    runner.train()
    loss_of(runner)
    assert any(path.stat().st_size for path in tmp_path.rglob(written))
