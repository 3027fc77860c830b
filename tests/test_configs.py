"""Every config is loaded, built without weights, and checked for what its name promises."""

import copy
import re
from functools import cache
from pathlib import Path

import pytest
import torch
from mmdet.registry import HOOKS, METRICS, MODELS
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.hub import get_config

from msrcnn_plugin.models import DetectionSampler, ReplaySampler

CONFIGS = Path(__file__).resolve().parent.parent / 'configs'
FILES = sorted(
    path
    for path in CONFIGS.rglob('*.py')
    if path.parent.name not in ('_base_', 'ablations') and not path.name.startswith('study_')
)
# What a file's name begins with, and the RoI head that it promises.
ROI_HEADS = {
    'mask_rcnn': 'StandardRoIHead',
    'ms_rcnn': 'MSRoIHead',
    'paper_ms_rcnn': 'MSRoIHead',
    'stock_ms_rcnn': 'MaskScoringRoIHead',
    'cascade_ms_rcnn': 'MSCascadeRoIHead',
    'htc_ms_rcnn': 'MSHTCRoIHead',
    'scnet_ms_rcnn': 'MSSCNetRoIHead',
    'point_rend_ms_rcnn': 'MSPointRendRoIHead',
    'dynamic_ms_rcnn': 'MSDynamicRoIHead',
    'double_head_ms_rcnn': 'MSDoubleHeadRoIHead',
    'pisa_ms_rcnn': 'MSPISARoIHead',
}
L2 = dict(type='MSELoss', loss_weight=0.5)
CROSS_ENTROPY = dict(
    type='CrossEntropyLoss', use_sigmoid=True, avg_non_ignore=True, loss_weight=1.0
)
# Ours, and the config of mmdet that it has to be but for the mask score.
HOSTS = {
    'cascade_ms_rcnn_r50_fpn': 'cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco',
    'htc_ms_rcnn_r50_fpn': 'htc/htc-without-semantic_r50_fpn_1x_coco',
    'scnet_ms_rcnn_r50_fpn': 'scnet/scnet_r50_fpn_1x_coco',
    'point_rend_ms_rcnn_r50_fpn': 'point_rend/point-rend_r50-caffe_fpn_ms-1x_coco',
    'pisa_ms_rcnn_r50_fpn': 'pisa/mask-rcnn_r50_fpn_pisa_1x_coco',
    'ms_rcnn_r50_c4': 'mask_rcnn/mask-rcnn_r50-caffe-c4_1x_coco',
    'ms_rcnn_r101_dconv_fpn': 'dcn/mask-rcnn_r101-dconv-c3-c5_fpn_1x_coco',
    'ms_rcnn_r50_fpn': 'mask_rcnn/mask-rcnn_r50_fpn_1x_coco',
    'ms_rcnn_r50_fpn_2x': 'mask_rcnn/mask-rcnn_r50_fpn_2x_coco',
    'ms_rcnn_r101_fpn': 'mask_rcnn/mask-rcnn_r101_fpn_1x_coco',
    'ms_rcnn_r101_fpn_2x': 'mask_rcnn/mask-rcnn_r101_fpn_2x_coco',
    'ms_rcnn_x101_32x4d_fpn': 'mask_rcnn/mask-rcnn_x101-32x4d_fpn_1x_coco',
    'ms_rcnn_x101_32x4d_fpn_2x': 'mask_rcnn/mask-rcnn_x101-32x4d_fpn_2x_coco',
}
# Ours, and the config of mmdet without a mask branch whose changes it makes to Mask R-CNN.
MADE_OF = {
    'dynamic_ms_rcnn_r50_fpn': 'dynamic_rcnn/dynamic-rcnn_r50_fpn_1x_coco',
    'double_head_ms_rcnn_r50_fpn': 'double_heads/dh-faster-rcnn_r50_fpn_1x_coco',
}
SCHEDULES = {
    'ms_rcnn_r18_fpn': (12, [8, 11]),
    'ms_rcnn_r18_fpn_2x': (24, [16, 22]),
    'ms_rcnn_r50_fpn': (12, [8, 11]),
    'ms_rcnn_r50_fpn_2x': (24, [16, 22]),
    'ms_rcnn_r101_fpn': (12, [8, 11]),
    'ms_rcnn_r101_fpn_2x': (24, [16, 22]),
    'ms_rcnn_r101_fpn_18e': (18, [14, 17]),  # the paper's, section 4.1
    'ms_rcnn_x101_32x4d_fpn': (12, [8, 11]),
    'ms_rcnn_x101_32x4d_fpn_2x': (24, [16, 22]),
}
DATA_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')

every_config = pytest.mark.parametrize(
    'path', FILES, ids=[str(path.relative_to(CONFIGS)) for path in FILES]
)


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


def as_list(value):
    return value if isinstance(value, list) else [value]


def is_our_recipe(path):
    """Else it is the paper's."""
    return path.parent.name in ('head_only', 'nuclei') and not path.name.startswith('paper')


@every_config
def test_first_line_says_what_it_is(path):
    first = path.read_text().splitlines()[0]
    assert first.startswith('# ')
    assert re.search('R-CNN|HTC', first)


@every_config
def test_imports_the_plugin_and_insists_on_it(path):
    cfg = load(path)
    assert 'msrcnn_plugin' in cfg.custom_imports.imports
    assert cfg.custom_imports.allow_failed_imports is False


@pytest.mark.filterwarnings('ignore:Default ``avg_non_ignore`` is False')  # mmdet's SCNet
@every_config
def test_model_builds_with_the_heads_that_the_name_promises(path):
    cfg = load(path)
    roi_head = build(cfg.model).roi_head
    (promised,) = (name for begin, name in ROI_HEADS.items() if path.name.startswith(begin))
    assert type(roi_head).__name__ == promised
    if not promised.startswith('MS'):
        return
    head = roi_head.mask_iou_head
    assert type(head).__name__ == 'MSMaskIoUHead'
    host, given = cfg.model.roi_head, cfg.model.roi_head.mask_iou_head
    assert head.convs[0].in_channels == as_list(host.mask_head)[-1].in_channels + 1
    side = 4 if '_c4' in path.name else 7
    assert [conv.stride for conv in head.convs] == [(1, 1)] * 3 + [(2, 2)]
    assert [fc.in_features for fc in head.fcs] == [
        given.get('conv_out_channels', 256) * side**2,
        given.get('fc_out_channels', 1024),
    ]
    assert head.fc_mask_iou.out_features == as_list(host.bbox_head)[-1].num_classes
    # In plain sight: mmdet's own config hides the loss and people look for it.
    assert given.loss_iou == (CROSS_ENTROPY if is_our_recipe(path) else L2)
    assert ('mask_iou_sampler' in host) == head.count_zero_targets == is_our_recipe(path)


@every_config
def test_pictures_show_the_mask_score(path):
    scores = 'ms_rcnn' in path.name and not path.name.startswith('stock')
    promised = 'MaskScoringVisualizer' if scores else 'DetLocalVisualizer'
    assert load(path).visualizer.type == promised


@every_config
def test_model_has_as_many_classes_as_its_data(path):
    cfg = load(path)
    host = cfg.model.roi_head
    heads = as_list(host.bbox_head) + as_list(host.mask_head)
    for name in DATA_LOADERS:
        classes = cfg[name].dataset.get('metainfo', {}).get('classes', range(80))
        assert {head.num_classes for head in heads} == {len(classes)}, name


@every_config
def test_pipelines_hooks_and_metrics_are_known(path):
    cfg = load(path)
    for name in DATA_LOADERS:
        Compose(cfg[name].dataset.pipeline)
    for hook in cfg.get('custom_hooks', []):
        HOOKS.build(hook)
    for evaluator in as_list(cfg.val_evaluator) + as_list(cfg.test_evaluator):
        assert METRICS.get(evaluator.type) is not None


@pytest.mark.parametrize('name', HOSTS)
def test_differs_from_its_host_by_the_mask_score_alone(name):
    ours, host = load(name), get_config(f'mmdet::{HOSTS[name]}.py')
    ours.model.roi_head.pop('mask_iou_head')
    ours.model.roi_head.type = host.model.roi_head.type
    ours.visualizer.type = host.visualizer.type
    for key in host:
        assert without_scope(ours[key]) == without_scope(host[key]), key
    assert set(ours) - set(host) == {'custom_imports', 'mask_scoring'}


@pytest.mark.filterwarnings('ignore:Default ``avg_non_ignore`` is False')  # mmdet's SCNet
@pytest.mark.parametrize('name', ['ms_rcnn_r50_fpn', *(host for host in HOSTS if host[0] != 'm')])
def test_any_host_learns_from_detections(name, tmp_path):
    leaf = tmp_path / 'leaf.py'
    bases = [str(CONFIGS / f'{base}.py') for base in (name, '_base_/learn_from_detections')]
    merge = 'model = dict(roi_head={{_base_.learn_from_detections}})'
    leaf.write_text(f'_base_ = {bases}\n{merge}\n')
    cfg, paper = Config.fromfile(leaf), load(name)
    roi_head = build(copy.deepcopy(cfg.model)).roi_head
    assert isinstance(roi_head.mask_iou_sampler, ReplaySampler)
    assert isinstance(roi_head.mask_iou_sampler.sampler, DetectionSampler)
    head = roi_head.mask_iou_head
    assert head.predicts_logits
    assert head.count_zero_targets
    assert head.loss_iou.loss_weight == 1
    # Nothing else is changed.
    for changed in (cfg, paper):
        changed.model.roi_head.pop('mask_iou_sampler', None)
        for key in ('loss_iou', 'count_zero_targets'):
            changed.model.roi_head.mask_iou_head.pop(key, None)
    assert cfg.model == paper.model


@pytest.mark.parametrize('name', MADE_OF)
def test_gives_mask_rcnn_what_the_host_changes(name):
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
    assert ours.model.test_cfg.rcnn.nms.iou_threshold == 0.5
    ours.model.test_cfg = plain.model.test_cfg
    assert without_scope(ours.to_dict()) == without_scope(plain.to_dict())


@pytest.mark.parametrize('name', SCHEDULES)
def test_schedule(name):
    epochs, milestones = SCHEDULES[name]
    cfg = load(name)
    assert cfg.train_cfg.max_epochs == epochs
    (steps,) = (found for found in cfg.param_scheduler if found.type == 'MultiStepLR')
    assert (steps.milestones, steps.end, steps.gamma) == (milestones, epochs, 0.1)
    assert steps.by_epoch


@pytest.mark.parametrize('name', ['ms_rcnn_r18_fpn', 'ms_rcnn_r18_fpn_2x'])
def test_r18_sees_images_of_600_by_1000_as_in_the_paper(name):
    cfg = load(name)
    for loader in DATA_LOADERS:
        scales = [step.scale for step in cfg[loader].dataset.pipeline if step.type == 'Resize']
        assert scales == [(1000, 600)], loader
    assert cfg.model.backbone.depth == 18


def test_there_is_a_config_for_each_schedule_and_host():
    there = {path.stem for path in CONFIGS.glob('*.py')}
    assert {*SCHEDULES, *HOSTS, *MADE_OF} <= there
