"""Every config is loaded, built without weights, and checked for what its name promises."""

import copy
import re
from functools import cache
from pathlib import Path

import pytest
import torch
from mmdet.registry import DATASETS, HOOKS, METRICS, MODELS
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.hub import get_config

from msrcnn_plugin.models import DetectionSampler, ReplaySampler

CONFIGS = Path(__file__).resolve().parent.parent / 'configs'
# Those of detectors without RoI heads are tested with them.
FILES = sorted(p for p in CONFIGS.rglob('*.py') if p.parent.name not in ('_base_', 'any'))
COCO = sorted(CONFIGS.glob('*.py'))
OWN_DATA = ('nuclei', 'demo', 'ablations', 'lesions')  # folders of configs
DATA_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
SCHEDULES = {'18e': (18, [14, 17]), '2x': (24, [16, 22])}  # 18e: the paper's, section 4.1
# mmdet's models without a mask branch, whose changes two configs make to Mask R-CNN.
MADE_OF = {
    'dynamic_ms_rcnn_r50_fpn': 'dynamic_rcnn/dynamic-rcnn_r50_fpn_1x_coco',
    'double_head_ms_rcnn_r50_fpn': 'double_heads/dh-faster-rcnn_r50_fpn_1x_coco',
}

pytestmark = pytest.mark.filterwarnings('ignore:Default ``avg_non_ignore`` is False')  # SCNet's


def named(paths):
    return pytest.mark.parametrize('path', paths, ids=[str(p.relative_to(CONFIGS)) for p in paths])


@cache
def read(path):
    return Config.fromfile(path)


def load(path):
    """The config of a file, or of a name at the top; read once, for every test its own."""
    return copy.deepcopy(read(path if isinstance(path, Path) else CONFIGS / f'{path}.py'))


def without_scope(value):
    """Without `_scope_`, which mmengine adds to what is inherited from a package."""
    if isinstance(value, dict):
        return {key: without_scope(item) for key, item in value.items() if key != '_scope_'}
    return [without_scope(item) for item in value] if isinstance(value, (list, tuple)) else value


def build(model_cfg):
    """The model without memory for its weights, and none downloaded."""
    model_cfg.backbone.init_cfg = None
    with torch.device('meta'):
        return MODELS.build(model_cfg)


def innermost(dataset):
    return innermost(dataset.dataset) if 'dataset' in dataset else dataset


def as_list(value):
    return value if isinstance(value, list) else [value]


@named(FILES)
def test_it_says_what_it_is_and_what_it_should_reach(path):
    head = re.match('(#.*\n)+', path.read_text())[0]
    assert re.search('R-CNN|HTC|PointRend', head.splitlines()[0])
    assert '# To reach' in head


@named(FILES)
def test_it_is_a_delta(path):
    lines = [line for line in path.read_text().splitlines() if line.strip() and line[0] != '#']
    assert len(lines) <= 40 or path.name == 'mask_rcnn_r18_fpn.py' or path.parent.name == 'own'
    assert '_base_ = ' in '\n'.join(lines)


@named(FILES)
def test_it_builds_the_heads_that_its_name_promises(path):
    cfg = load(path)
    roi_head = build(cfg.model).roi_head
    kind = re.match('(.*?)_?(ms|mask)_rcnn', path.name)
    if kind is None:
        promised = 'MSRoIHead'
    elif kind[2] == 'mask':
        promised = f'{kind[1] or "Standard"}RoIHead'
    elif kind[1] == 'stock':
        promised = 'MaskScoringRoIHead'
    else:
        host = kind[1].replace('paper', '').replace('_', '')
        promised = f'MS{host}RoIHead'
    assert type(roi_head).__name__.lower() == promised.lower()
    if not promised.startswith('MS'):
        return
    head, host = roi_head.mask_iou_head, cfg.model.roi_head
    assert type(head).__name__ == 'MSMaskIoUHead'
    assert head.convs[0].in_channels == as_list(host.mask_head)[-1].in_channels + 1
    assert head.fc_mask_iou.out_features == as_list(host.bbox_head)[-1].num_classes
    # In plain sight: mmdet's own config hides the loss and people look for it.
    assert 'loss_iou' in host.mask_iou_head
    learns_from_detections = 'mask_iou_sampler' in host and host.mask_iou_sampler is not None
    assert learns_from_detections == head.count_zero_targets


@named(FILES)
def test_its_parts_are_known(path):
    cfg = load(path)
    assert 'msrcnn_plugin' in cfg.custom_imports.imports
    assert cfg.custom_imports.allow_failed_imports is False
    shows_scores = not re.match('(cascade_)?mask_rcnn|stock', path.name)
    assert (cfg.visualizer.type == 'MaskScoringVisualizer') == shows_scores
    host = cfg.model.roi_head
    heads = as_list(host.bbox_head) + as_list(host.mask_head)
    for name in DATA_LOADERS:
        dataset = innermost(cfg[name].dataset)
        Compose(dataset.pipeline)
        known = DATASETS.get(dataset.type).METAINFO['classes']
        classes = dataset.get('metainfo', {}).get('classes', known)
        assert {head.num_classes for head in heads} == {len(classes)}, name
    for hook in cfg.get('custom_hooks', []):
        HOOKS.build(hook)
    for evaluator in as_list(cfg.val_evaluator) + as_list(cfg.test_evaluator):
        assert METRICS.get(evaluator.type) is not None


@named([path for path in FILES if path.parent.name in OWN_DATA])
def test_an_environment_variable_names_the_folder_of_its_data(path, monkeypatch):
    for variable in ('DSB2018_ROOT', 'DEMO_ROOT', 'LESIONS_ROOT'):
        monkeypatch.setenv(variable, 'elsewhere/set')
    cfg = Config.fromfile(path)
    files = [evaluator.ann_file for evaluator in (cfg.val_evaluator, cfg.test_evaluator)]
    roots = [innermost(cfg[name].dataset).data_root for name in DATA_LOADERS]
    assert all(name.startswith('elsewhere/set/') for name in (*files, *roots))


@named([path for path in COCO if path.stem not in MADE_OF])
def test_it_differs_from_mmdets_own_by_the_mask_score_alone(path):
    base = re.search(r"'mmdet::(.+?)\.py'", path.read_text())
    if base is None:  # over another config of ours
        pytest.skip('its base is tested')
    ours, host = load(path), get_config(f'mmdet::{base[1]}.py')
    ours.model.roi_head.pop('mask_iou_head')
    ours.model.roi_head.type = host.model.roi_head.type
    ours.visualizer.type = host.visualizer.type
    for key in host:
        assert without_scope(ours[key]) == without_scope(host[key]), key
    assert set(ours) - set(host) == {'custom_imports', 'mask_scoring'}


@named([path for path in COCO if path.name.startswith('ms_rcnn')])
def test_its_schedule_is_that_of_its_name(path):
    cfg = load(path)
    epochs, milestones = SCHEDULES.get(path.stem.split('_')[-1], (12, [8, 11]))
    assert cfg.train_cfg.max_epochs == epochs
    (steps,) = (found for found in cfg.param_scheduler if found.type == 'MultiStepLR')
    assert (steps.milestones, steps.end, steps.gamma) == (milestones, epochs, 0.1)


@named([path for path in FILES if path.parent.name in OWN_DATA])
def test_its_schedule_ends_with_its_training(path):
    cfg = load(path)
    end = cfg.train_cfg.get('max_iters') or cfg.train_cfg.max_epochs
    assert cfg.param_scheduler[-1].end == end


@named([path for path in COCO if path.stem == 'ms_rcnn_r50_fpn' or path.name[0] not in 'dm'])
def test_any_host_learns_from_detections(path, tmp_path):
    leaf = tmp_path / 'leaf.py'
    bases = [str(path), str(CONFIGS / '_base_' / 'learn_from_detections.py')]
    merge = 'model = dict(roi_head={{_base_.learn_from_detections}})'
    leaf.write_text(f'_base_ = {bases}\n{merge}\n')
    cfg, paper = Config.fromfile(leaf), load(path)
    roi_head = build(copy.deepcopy(cfg.model)).roi_head
    assert isinstance(roi_head.mask_iou_sampler, ReplaySampler)
    assert isinstance(roi_head.mask_iou_sampler.sampler, DetectionSampler)
    assert roi_head.mask_iou_head.count_zero_targets
    # Nothing else is changed.
    for changed in (cfg, paper):
        changed.model.roi_head.pop('mask_iou_sampler', None)
        for key in ('loss_iou', 'count_zero_targets'):
            changed.model.roi_head.mask_iou_head.pop(key, None)
    assert cfg.model == paper.model


@pytest.mark.parametrize('name', MADE_OF)
def test_it_gives_mask_rcnn_what_the_host_changes(name):
    ours, host = load(name).model, get_config(f'mmdet::{MADE_OF[name]}.py').model
    mask_rcnn = get_config('mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py').model
    host.roi_head.type = f'MS{host.roi_head.type}'
    for key in ('mask_roi_extractor', 'mask_head'):
        host.roi_head[key] = mask_rcnn.roi_head[key]
    host.roi_head.mask_iou_head = ours.roi_head.mask_iou_head
    host.train_cfg.rcnn.mask_size = 28
    host.train_cfg.rcnn.assigner.match_low_quality = True
    host.test_cfg.rcnn.mask_thr_binary = 0.5
    for key in ('backbone', 'neck', 'rpn_head', 'roi_head', 'train_cfg', 'test_cfg'):
        assert without_scope(ours[key]) == without_scope(host[key]), key


def test_soft_nms_is_a_matter_of_testing():
    ours, plain = load('ms_rcnn_r50_fpn_soft_nms'), load('ms_rcnn_r50_fpn')
    assert ours.model.test_cfg.rcnn.nms.type == 'soft_nms'
    ours.model.test_cfg = plain.model.test_cfg
    assert without_scope(ours.to_dict()) == without_scope(plain.to_dict())
