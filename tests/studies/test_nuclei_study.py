"""The studies of the three models: the same but for the mask score."""

from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config

from msrcnn_plugin.studies import read_study

NUCLEI = Path(__file__).parents[2] / 'configs' / 'nuclei'


@pytest.fixture(params=['cpu', 'gpu'])
def runs(request, tmp_path):
    path = NUCLEI / f'study_{request.param}.py'
    study = read_study(path, tmp_path / 'work', {'data_root': str(tmp_path)})
    assert study.size == request.param
    return {run.name: run for run in study.runs if run.seed == 0}


def test_three_models_of_one_trunk_recipe_and_data(runs, tmp_path):
    assert list(runs) == ['mask_rcnn', 'ms_rcnn', 'plugin']
    plain = runs['mask_rcnn'].cfg
    for run in runs.values():
        for key in ('train_dataloader', 'optim_wrapper', 'param_scheduler', 'train_cfg'):
            assert run.cfg[key] == plain[key], key
        for part in ('data_preprocessor', 'backbone', 'neck', 'rpn_head', 'test_cfg'):
            assert run.cfg.model[part] == plain.model[part], part
        for part in ('bbox_head', 'mask_head', 'bbox_roi_extractor', 'mask_roi_extractor'):
            assert run.cfg.model.roi_head[part] == plain.model.roi_head[part], part
        assert run.cfg.train_dataloader.dataset.data_root == f'{tmp_path}/'
        assert run.test_cfg.test_dataloader == runs['mask_rcnn'].test_cfg.test_dataloader


def test_mmdets_weights_fit_the_head_that_they_are_tested_with(runs):
    run = runs['ms_rcnn']
    with torch.device('meta'):
        trained, tested = (MODELS.build(cfg.model) for cfg in (run.cfg, run.test_cfg))
    shapes = [
        {name: value.shape for name, value in model.state_dict().items()}
        for model in (trained, tested)
    ]
    assert type(trained.roi_head.mask_iou_head).__name__ == 'MaskIoUHead'
    assert type(tested.roi_head.mask_iou_head).__name__ == 'MSMaskIoUHead'
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize('stage', ['train', 'test'])
def test_the_gpu_sees_the_same_data_in_more_pixels(stage):
    small, large = (
        Config.fromfile(NUCLEI / f'mask_rcnn_{size}_fpn.py')[f'{stage}_dataloader'].dataset
        for size in ('r18', 'r50')
    )
    sides = {}
    for dataset in (small, large):
        for step in dataset.pipeline:
            for key in {'scale', 'crop_size'} & set(step):
                sides.setdefault((step.type, key), []).append(step.pop(key))
    assert small == large
    assert (
        sides
        == {
            'train': {
                ('RandomResize', 'scale'): [(320, 320), (512, 512)],
                ('RandomCrop', 'crop_size'): [(320, 320), (512, 512)],
            },
            'test': {('Resize', 'scale'): [(448, 448), (704, 704)]},
        }[stage]
    )
