"""The leaf configs of detectors without RoI heads."""

import copy

import pytest
import torch
from mmdet.registry import HOOKS, METRICS, MODELS
from mmengine.dataset import Compose

from .any_hosts import CONFIGS, HOST_WARNINGS, _read

pytestmark = HOST_WARNINGS
FILES = sorted(path.stem for path in CONFIGS.glob('*.py'))
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


@pytest.mark.parametrize('name', FILES)
def test_it_is_a_delta_whose_parts_are_known(name):
    if name == 'maskformer_r50':
        pytest.importorskip('panopticapi', reason="its host's pipeline reads panoptic labels")
    lines = (CONFIGS / f'{name}.py').read_text().splitlines()
    assert lines[0].startswith('# ')
    assert sum(not line.startswith('#') for line in lines) <= 35
    cfg = copy.deepcopy(_read(name))
    cfg.model.backbone.init_cfg = None
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    assert cfg.custom_imports.imports[0] == 'msrcnn_plugin'
    for loader in LOADERS:
        Compose(cfg[loader].dataset.pipeline)
    for hook in cfg.get('custom_hooks', []):
        HOOKS.build(hook)
    evaluators = cfg.val_evaluator if isinstance(cfg.val_evaluator, list) else [cfg.val_evaluator]
    assert all(METRICS.get(evaluator.type) for evaluator in evaluators)
    # Everything ends with the training.
    end = cfg.train_cfg.get('max_iters') or cfg.train_cfg.max_epochs
    assert cfg.param_scheduler[-1].end == end
    assert cfg.model.type.startswith('MS')
    assert cfg.visualizer.type == 'MaskScoringVisualizer'
    assert model.mask_iou_head.count_zero_targets
    assert model.mask_iou_head.predicts_logits
    assert [hook.type for hook in cfg.custom_hooks] == ['TrainMaskIoUHeadOnlyHook']
    assert cfg.train_cfg.type == 'IterBasedTrainLoop'
