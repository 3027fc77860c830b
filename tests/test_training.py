"""Training, saving, resuming and testing through mmengine's own runner, in one process."""

import itertools
import json
import math
from pathlib import Path

import pytest
import torch
from mmdet.structures.bbox import get_box_tensor
from mmengine.hooks import Hook
from mmengine.runner import Runner

from .tiny_set import run_config, write_tiny_set

HOOKS = [
    dict(type='MaskIoULossWarmupHook', length=8, start_factor=0.5),
    dict(type='MaskIoUMonitorHook', interval=2),
]
MONITORED = ['positives', 'target', 'prediction', 'mae', 'correlation']
RUNS = itertools.count()


def run(cfg):
    """A runner of its own name: those of one second would share their logs."""
    cfg.experiment_name = f'run_{next(RUNS)}'
    return Runner.from_cfg(cfg)


def logged_scalars(runner):
    lines = Path(runner.log_dir, 'vis_data', f'{runner.timestamp}.json').read_text().splitlines()
    return [json.loads(line) for line in lines]


class LossWeights(Hook):
    """Notes what the warm-up makes of the loss weight."""

    def __init__(self):
        self.seen = {}

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.seen[runner.iter] = runner.model.roi_head.mask_iou_head.loss_iou.loss_weight


class Predictions(Hook):
    """Keeps the predictions of a test run."""

    def __init__(self):
        self.samples = []

    def after_test_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.samples += outputs


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return write_tiny_set(tmp_path_factory.mktemp('data') / 'set')


@pytest.fixture(scope='module')
def trained(data, tmp_path_factory):
    """A run of one epoch, four iterations, and the weights it began with."""
    runner = run(run_config(data, tmp_path_factory.mktemp('run'), custom_hooks=HOOKS))
    before = {name: p.detach().clone() for name, p in runner.model.named_parameters()}
    runner.train()
    return runner, before


def test_logs_a_finite_mask_iou_loss_in_every_iteration(trained):
    runner, _ = trained
    losses = runner.message_hub.get_scalar('train/loss_mask_iou').data[0]
    assert len(losses) == 4
    # Half the weight, and objects in view: the first is a real loss. The last batch has no object.
    assert losses[0] > 0
    assert losses[-1] == 0
    assert all(math.isfinite(loss) for loss in losses)
    scalars = logged_scalars(runner)
    assert [line['step'] for line in scalars] == [1, 2, 3, 4]
    assert all(math.isfinite(line['loss_mask_iou']) for line in scalars)


def test_trains_every_layer_of_the_mask_iou_head(trained):
    runner, before = trained
    names = [name for name in before if 'mask_iou_head' in name]
    assert len(names) == 2 * (2 + 1 + 1)
    after = dict(runner.model.named_parameters())
    for name in names:
        assert torch.isfinite(after[name]).all(), name
        assert not torch.equal(after[name], before[name]), name


def test_the_monitors_figures_reach_the_json_log_in_their_iteration(trained):
    without, at_two, *_ = logged_scalars(trained[0])
    assert not any(f'mask_iou_{name}' in without for name in MONITORED)
    assert all(f'mask_iou_{name}' in at_two for name in MONITORED)
    assert at_two['mask_iou_positives'] > 0
    assert 0 < at_two['mask_iou_target'] <= 1


def test_resumes_at_the_right_iteration_with_the_weights_and_the_warm_up(trained, data):
    first, _ = trained
    work_dir = first.work_dir
    runner = run(run_config(data, work_dir, epochs=2, resume=True, custom_hooks=HOOKS))
    weights = LossWeights()
    runner.register_hook(weights)
    runner.load_or_resume()
    # Two runs that begin within a second share mmengine's log.
    earlier = logged_scalars(first) if runner.log_dir == first.log_dir else []
    assert (runner.epoch, runner.iter) == (1, 4)
    for name, value in first.model.state_dict().items():
        assert torch.equal(runner.model.state_dict()[name], value), name
    runner.train()
    assert (runner.epoch, runner.iter) == (2, 8)
    assert weights.seen == {4: 0.375, 5: 0.40625, 6: 0.4375, 7: 0.46875}
    scalars = logged_scalars(runner)[len(earlier) :]
    assert [line['step'] for line in scalars] == [5, 6, 7, 8]
    assert all(f'mask_iou_{name}' in scalars[1] for name in MONITORED)
    assert Path(work_dir, 'epoch_2.pth').exists()


def test_tests_a_checkpoint_and_ranks_masks_by_the_mask_score(trained, data, tmp_path):
    runner = run(run_config(data, tmp_path, load_from=f'{trained[0].work_dir}/epoch_1.pth'))
    predictions = Predictions()
    runner.register_hook(predictions)
    metrics = runner.test()
    assert {'coco/bbox_mAP', 'coco/segm_mAP'} <= set(metrics)
    assert len(predictions.samples) == 8
    instances = [sample.pred_instances for sample in predictions.samples]
    for pred in instances:
        assert pred.mask_ious.shape == pred.mask_scores.shape == pred.scores.shape
        assert ((pred.mask_ious >= 0) & (pred.mask_ious <= 1)).all()
    assert sum(len(pred) for pred in instances) > 0

    def written(kind):
        return [
            found['score'] for found in json.loads((tmp_path / f'results.{kind}.json').read_text())
        ]

    assert written('bbox') == pytest.approx(torch.cat([pred.scores for pred in instances]).tolist())
    assert written('segm') == pytest.approx(
        torch.cat([pred.mask_scores for pred in instances]).tolist()
    )
    assert written('segm') != written('bbox')


RIGHT = dict(type='TranslateX', prob=1.0, level=10, max_mag=0.5, reversal_prob=1.0)
UP = dict(type='TranslateY', prob=1.0, level=10, max_mag=0.5, reversal_prob=0.0)
RANDOM = dict(type='RandAugment', aug_space=[[RIGHT], [UP]], aug_num=2)


@pytest.mark.parametrize(
    ('shift', 'poly2mask'),
    [(RIGHT, True), (UP, False), (RANDOM, True)],
    ids=['right, bitmaps', 'up, polygons', 'RandAugment, bitmaps'],
)
def test_objects_shifted_out_of_the_image_are_valid_input(data, tmp_path, shift, poly2mask):
    # mmdet #11527: the box of such an object becomes a line on the border, and a proposal.
    cfg = run_config(data, tmp_path, pipeline=[shift], custom_hooks=HOOKS)
    cfg.train_dataloader.dataset.pipeline[1].poly2mask = poly2mask
    runner = run(cfg)
    shifted = [item['data_samples'].gt_instances for item in runner.train_loop.dataloader.dataset]
    boxes = torch.cat([get_box_tensor(gts.bboxes) for gts in shifted])
    assert (boxes[:, 2:] == boxes[:, :2]).any()
    runner.train()
    losses = runner.message_hub.get_scalar('train/loss_mask_iou').data[0]
    assert len(losses) == 4
    assert all(math.isfinite(loss) for loss in losses)
