"""Every ablation: what its config says, one step of training and a prediction, and the study."""

import copy
import json
import re
from functools import cache
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config

from msrcnn_plugin.hooks import TrainMaskIoUHeadOnlyHook
from msrcnn_plugin.studies.study import RUN_KEYS, STUDY_KEYS

from .models.hosts import batch_of, losses, narrow, predict

ABLATIONS = Path(__file__).resolve().parents[1] / 'configs' / 'ablations'
STUDIES = sorted(ABLATIONS.glob('study*.py'))
FILES = sorted(set(ABLATIONS.glob('*.py')) - set(STUDIES))
BASE = ABLATIONS / 'detections.py'
# What the configs of a study change one thing of.
BASES = {
    'classes': ABLATIONS / 'classes_target.py',
    'detached': ABLATIONS / 'mask_gradient.py',
    'mask': ABLATIONS / 'mask_gradient.py',
}
WHOLE_MODEL = ('detached_mask', 'mask_gradient')
NARROW = {96: 16, 64: 16, 48: 8, 512: 32, 256: 32, 128: 16}

every_ablation = pytest.mark.parametrize('path', FILES, ids=[path.stem for path in FILES])
every_study = pytest.mark.parametrize('path', STUDIES, ids=[path.stem for path in STUDIES])


@cache
def read(path):
    return Config.fromfile(path)


def tiny_model(path):
    """Of the config's parts, but narrow, with few RoIs."""
    cfg = copy.deepcopy(read(path).model)
    narrow(cfg, NARROW)
    cfg.backbone.update(depth=18, base_channels=8)
    cfg.neck.in_channels = [8, 16, 32, 64]
    cfg.train_cfg.rcnn.sampler.num = 16
    cfg.train_cfg.rpn_proposal.max_per_img = cfg.test_cfg.rpn.max_per_img = 20
    cfg.test_cfg.rcnn.update(score_thr=0.0, max_per_img=10)
    model = MODELS.build(cfg)
    model.init_weights()
    # Whole boxes: without training no mask would be above a τ or a cut, none better than another.
    model.roi_head.mask_head.conv_logits.bias.data.fill_(2.0)
    return model


def head_only(path):
    hooks = read(path).get('custom_hooks') or []
    return TrainMaskIoUHeadOnlyHook.__name__ in [hook.type for hook in hooks]


@every_ablation
def test_its_first_line_says_what_it_is(path):
    first, *_ = path.read_text().splitlines()
    assert re.match('# MS R-CNN', first)


@every_ablation
def test_its_head_says_what_it_reached(path):
    studies = json.loads((ABLATIONS / 'results.json').read_text()).values()
    found = {run: figures for runs in studies for run, figures in runs.items()}[path.stem]
    gain, pearson = found['gain']['mean'], found['mask_iou_pearson']['mean']
    said = f'# Reached: gain {100 * gain:+.2f}, Pearson {pearson:.3f} (README).'
    assert said in path.read_text().splitlines()


@every_ablation
def test_learns_and_scores(path):
    model, batch = tiny_model(path), batch_of(3, 0)
    model.roi_head.mute_host_losses()
    loss = losses(model, batch)['loss_mask_iou']
    loss.backward()
    assert loss > 0
    head = model.roi_head.mask_iou_head
    assert all(param.grad is not None for param in head.parameters())
    assert head.fc_mask_iou.weight.grad.any()
    for results in predict(model, batch):
        assert ((results.mask_ious >= 0) & (results.mask_ious <= 1)).all()
        assert len(results.mask_scores) == len(results)


@every_ablation
def test_changes_the_head_what_it_learns_and_its_score_alone(path):
    base = BASES.get(path.stem.split('_')[0], BASE)
    cfg, base = (copy.deepcopy(read(each)) for each in (path, base))
    for changed in (cfg, base):
        for key in ('type', 'mask_iou_head', 'mask_iou_sampler', 'score_power'):
            changed.model.roi_head.pop(key, None)
    for key in ('model', 'train_dataloader', 'param_scheduler', 'optim_wrapper', 'train_cfg'):
        assert cfg[key] == base[key], key
    assert head_only(path) == (path.stem not in WHOLE_MODEL)


# What a config's name promises of the MaskIoU head and of what it learns from.
PROMISES = {
    'detections': dict(
        roi_head='MSRoIHead',
        head='MSMaskIoUHead',
        side=14,
        sampler='DetectionSampler',
        steps=16,
        samples=128,
        num=16,
        score_power=0.5,
        loss_iou='CrossEntropyLoss',
        zero=True,
    ),
    'paper': dict(sampler='NoneType', loss_iou='MSELoss', weight=0.5, zero=False),
    'positives': dict(sampler='NoneType', loss_iou='CrossEntropyLoss', zero=True),
    'zero_targets_left_out': dict(sampler='DetectionSampler', zero=False),
    'drawn_64': dict(steps=1, num=64, score_power=0.5),
    'drawn_all': dict(steps=1, num=None),
    'drawn_evenly': dict(num=16, score_power=0),
    'drawn_by_score': dict(num=16, score_power=1),
    'not_replayed': dict(sampler='DetectionSampler', steps=1, num=32, score_power=0.5),
    'target_roi_grid': dict(sampler='RoIGridSampler', num=16, loss_iou='CrossEntropyLoss'),
    'cut_logit': dict(head='LogitCutMaskIoUHead', sampler='NoneType', loss_iou='MSELoss'),
    'tau_03': dict(sampler='NoneType', loss_iou='AboveIoULoss', of='MSELoss', min_iou=0.3),
    'tau_05': dict(sampler='NoneType', loss_iou='AboveIoULoss', of='MSELoss', min_iou=0.5),
    'tau_07': dict(sampler='NoneType', loss_iou='AboveIoULoss', of='MSELoss', min_iou=0.7),
    'input_multiply': dict(head='MultipliedMaskIoUHead'),
    'input_mask_only': dict(head='MaskOnlyMaskIoUHead'),
    'input_feature_only': dict(head='FeatureOnlyMaskIoUHead', roi_head='MSRoIHead'),
    'input_fine_feature': dict(
        head='MSMaskIoUHead', roi_head='MSFineFeatureRoIHead', side=28, steps=1, num=32
    ),
    'input_sub_pixel': dict(head='SubPixelMaskIoUHead', roi_head='MSRoIHead', side=14),
    'classes_target': dict(head='MSMaskIoUHead', sampler='DetectionSampler', classes=4),
    'classes_all': dict(head='AllClassesMaskIoUHead', sampler='AllClassesSampler', classes=4),
    'classes_present': dict(head='AllClassesMaskIoUHead', sampler='PresentClassesSampler'),
    'classes_all_masks': dict(
        head='FeatureOnlyMaskIoUHead', roi_head='MSAllMasksRoIHead', sampler='DetectionSampler'
    ),
    'loss_l2': dict(sampler='DetectionSampler', loss_iou='MSELoss', weight=0.5, logits=False),
    'loss_sigmoid_l2': dict(loss_iou='SigmoidMSELoss', weight=0.5, logits=True),
    'loss_smooth_l1': dict(loss_iou='SmoothL1Loss', weight=0.5, logits=False),
    'loss_ranking': dict(loss_iou='PairwiseRankingLoss', logits=True),
    'loss_bce_ranking': dict(loss_iou='SummedLoss', logits=True),
    'detached_mask': dict(sampler='NoneType', loss_iou='MSELoss', detached=True),
    'mask_gradient': dict(sampler='NoneType', loss_iou='MSELoss', detached=False),
    'score_power': dict(head='MSMaskIoUHead', roi_head='MSScorePowerRoIHead', cls_power=0.25),
    'size_half_channels': dict(head='MSMaskIoUHead', convs=4, channels=48, width=128),
    'size_two_convs': dict(head='MSMaskIoUHead', convs=2, channels=96, width=256),
    'size_depthwise': dict(head='DepthwiseMaskIoUHead', convs=4),
    'size_pooled': dict(head='PooledMaskIoUHead', convs=4, channels=96, width=256),
}


def facts(roi_head):
    """Of a RoI head, under the names of `PROMISES`."""
    head, given = roi_head.mask_iou_head, roi_head.mask_iou_sampler
    sampler = getattr(given, 'sampler', given)  # a ReplaySampler's
    loss = head.loss_iou
    return dict(
        roi_head=type(roi_head).__name__,
        cls_power=getattr(roi_head, 'score_power', 1),
        head=type(head).__name__,
        side=head.roi_feat_size[0],
        sampler=type(sampler).__name__,
        steps=getattr(given, 'steps', 1),
        samples=getattr(given, 'steps', 0) * getattr(given, 'samples_of_a_step', 0),
        loss_iou=type(loss).__name__,
        of=type(getattr(loss, 'loss', None)).__name__,
        weight=getattr(loss, 'loss_weight', None),
        min_iou=getattr(loss, 'min_iou', None),
        zero=head.count_zero_targets,
        logits=head.predicts_logits,
        detached=head.detach_mask,
        num=getattr(sampler, 'num', None),
        score_power=getattr(sampler, 'score_power', None),
        classes=head.num_classes,
        convs=len(head.convs),
        channels=getattr(head.convs[0], 'out_channels', None),
        width=head.fcs[0].out_features,
    )


@every_ablation
def test_is_what_its_name_promises(path):
    cfg = copy.deepcopy(read(path).model)
    settings = dict(train_cfg=cfg.train_cfg.rcnn, test_cfg=cfg.test_cfg.rcnn)
    with torch.device('meta'):
        found = facts(MODELS.build({**cfg.roi_head, **settings}))
    promised = PROMISES[path.stem]
    assert {name: found[name] for name in promised} == promised


@pytest.mark.parametrize('name', ['detections', 'mask_gradient'])
def test_the_schedule_ends_with_the_training(name):
    cfg = read(ABLATIONS / f'{name}.py')
    assert cfg.train_cfg.max_epochs == cfg.param_scheduler[1].end == cfg.param_scheduler[1].T_max
    assert cfg.param_scheduler[0].type == 'LinearLR'


def test_the_schedule_of_the_demo_set_ends_with_the_training():
    cfg = read(BASES['classes'])
    assert cfg.train_cfg.max_iters == cfg.param_scheduler[1].end < cfg.train_cfg.val_interval
    trunk = read(ABLATIONS.parent / 'demo' / 'mask_rcnn_r18_fpn.py')
    assert cfg.train_cfg.max_iters < trunk.train_cfg.max_iters


@every_study
def test_a_study_starts_from_a_trained_trunk_and_has_a_place_in_the_results(path):
    study = read(path)
    assert set(study) <= STUDY_KEYS
    assert all(set(run) <= RUN_KEYS for run in study.runs.values())
    assert study.load_from
    assert sum(read(other).size == study.size for other in STUDIES) == 1


def test_every_ablation_is_a_row_of_a_study():
    rows = [
        (ABLATIONS / run.base).resolve() for path in STUDIES for run in read(path).runs.values()
    ]
    assert len(rows) == len(set(rows))
    assert set(FILES) <= set(rows)
