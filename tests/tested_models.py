"""Tiny models of three kinds, untrained, as files that a tool takes."""

from mmdet.registry import MODELS
from mmengine.runner import save_checkpoint

from .conftest import tiny_model_cfg
from .tiny_set import run_config

STOCK_HEAD = dict(
    type='MaskIoUHead',
    num_convs=2,
    num_fcs=1,
    roi_feat_size=14,
    in_channels=16,
    conv_out_channels=16,
    fc_out_channels=32,
    num_classes=3,
)


def model_cfg(kind):
    """The model of ``kind``: 'mask_rcnn', 'ms_rcnn' (mmdet's) or 'plugin'."""
    if kind == 'mask_rcnn':
        return tiny_model_cfg('StandardRoIHead')
    if kind == 'plugin':
        return tiny_model_cfg()
    cfg = tiny_model_cfg('MaskScoringRoIHead', mask_iou_head=STOCK_HEAD)
    cfg.train_cfg.rcnn.mask_thr_binary = 0.5
    return cfg


def write_model(kind, data, folder):
    """Config and checkpoint of a model tested on the set at ``data``; their paths as text."""
    folder.mkdir(parents=True, exist_ok=True)
    config, checkpoint = folder / f'{kind}.py', folder / f'{kind}.pth'
    cfg = run_config(data, folder / 'run', model=model_cfg(kind))
    cfg.test_evaluator.pop('outfile_prefix')
    cfg.dump(config)
    model = MODELS.build(cfg.model)
    model.init_weights()
    save_checkpoint(dict(meta={}, state_dict=model.state_dict()), str(checkpoint))
    return str(config), str(checkpoint)
