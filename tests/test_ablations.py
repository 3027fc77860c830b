"""Every ablation: what its config says, one step of training and a prediction, and the study."""

import copy
import re
from functools import cache
from pathlib import Path

import pytest
from mmdet.registry import MODELS
from mmengine.config import Config

from msrcnn_plugin.hooks import TrainMaskIoUHeadOnlyHook
from msrcnn_plugin.studies.study import RUN_KEYS, STUDY_KEYS

from .models.hosts import batch_of, losses, narrow, predict

ABLATIONS = Path(__file__).resolve().parents[1] / 'configs' / 'ablations'
STUDIES = sorted(ABLATIONS.glob('study*.py'))
FILES = sorted(set(ABLATIONS.glob('*.py')) - set(STUDIES))
BASE = ABLATIONS / 'detections.py'
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
    return model


@every_ablation
def test_its_first_line_says_what_it_is(path):
    first, *_ = path.read_text().splitlines()
    assert re.match('# MS R-CNN', first)


@every_ablation
def test_learns_and_scores(path):
    model, batch = tiny_model(path), batch_of(3, 0)
    model.roi_head.mute_host_losses()
    loss = losses(model, batch)['loss_mask_iou']
    loss.backward()
    # Masks without training are poor: none may be above τ, none better than the others.
    assert loss > 0 or path.stem.startswith(('tau_', 'loss_ranking'))
    head = model.roi_head.mask_iou_head
    assert all(param.grad is not None for param in head.parameters())
    assert bool(head.fc_mask_iou.weight.grad.any()) == bool(loss > 0)
    for results in predict(model, batch):
        assert ((results.mask_ious >= 0) & (results.mask_ious <= 1)).all()
        assert len(results.mask_scores) == len(results)


@every_ablation
def test_changes_the_head_and_what_it_learns_alone(path):
    cfg, base = (copy.deepcopy(read(each)) for each in (path, BASE))
    for changed in (cfg, base):
        for key in ('mask_iou_head', 'mask_iou_sampler'):
            changed.model.roi_head.pop(key, None)
    for key in ('model', 'train_dataloader', 'param_scheduler', 'optim_wrapper', 'train_cfg'):
        assert cfg[key] == base[key], key
    assert [hook.type for hook in cfg.custom_hooks] == [TrainMaskIoUHeadOnlyHook.__name__]


def test_the_schedule_ends_with_the_training():
    cfg = read(BASE)
    assert cfg.train_cfg.max_epochs == cfg.param_scheduler[1].end == cfg.param_scheduler[1].T_max
    assert cfg.param_scheduler[0].type == 'LinearLR'


@every_study
def test_the_study_is_one_and_starts_from_a_trained_trunk(path):
    study = read(path)
    assert set(study) <= STUDY_KEYS
    assert all(set(run) <= RUN_KEYS for run in study.runs.values())
    trunk, run, checkpoint = study.load_from.partition('mask_rcnn-{seed}')
    assert trunk.startswith('work_dirs/studies/')
    assert run
    assert re.fullmatch(r'/train/epoch_\d+\.pth', checkpoint)


def test_every_ablation_is_a_row_of_a_study():
    rows = [Path(run['base']).name for path in STUDIES for run in read(path).runs.values()]
    assert sorted(rows) == [path.name for path in FILES]
