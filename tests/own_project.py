"""A user's folder, as README's recipes have it: a Mask R-CNN and a Cascade of their own, tiny."""

from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.runner import Runner, save_checkpoint

from .conftest import tiny_model_cfg
from .tiny_set import CLASSES, run_config, write_tiny_set


def lay_out_project(folder):
    """Write ``my_mask_rcnn.py`` and ``my_cascade.py``, which name the data beside them."""
    data = write_tiny_set(folder / 'set')
    models = dict(my_mask_rcnn=tiny_model_cfg('StandardRoIHead'), my_cascade=tiny_cascade_cfg())
    for name, model in models.items():
        cfg = run_config(data, folder / name, model=model)
        # Whoever has a model of their own does not know the plugin yet.
        cfg.pop('custom_imports')
        cfg.val_dataloader, cfg.val_cfg = cfg.test_dataloader, dict(type='ValLoop')
        cfg.val_evaluator = cfg.test_evaluator
        cfg.visualizer = dict(
            type='DetLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')]
        )
        cfg.dump(folder / f'{name}.py')
    return folder


def lay_out_models(folder):
    """Beside the project, config and checkpoint of ``scored`` and ``plain``: with mask scores and
    without."""
    lay_out_project(folder)
    for name, head in dict(scored='MSRoIHead', plain='StandardRoIHead').items():
        cfg = Config.fromfile(folder / 'my_mask_rcnn.py')
        cfg.custom_imports = dict(imports=['msrcnn_plugin'], allow_failed_imports=False)
        cfg.model = tiny_model_cfg(head)
        cfg.dump(folder / f'{name}.py')
        model = MODELS.build(cfg.model)
        model.init_weights()
        if name == 'scored':
            # As if trained: some way between 0 and 1, and not the same for every mask.
            model.roi_head.mask_iou_head.fc_mask_iou.bias.data.fill_(0.5)
            model.roi_head.mask_iou_head.fc_mask_iou.weight.data.mul_(30)
        meta = dict(dataset_meta=dict(classes=CLASSES))
        save_checkpoint(dict(meta=meta, state_dict=model.state_dict()), f'{folder}/{name}.pth')
    return folder


def run(cfg, work_dir):
    """A runner of its own name: those of one second would share their logs."""
    cfg.work_dir, cfg.experiment_name = str(work_dir), str(work_dir)
    return Runner.from_cfg(cfg)


def tiny_cascade_cfg():
    """mmdet's Cascade Mask R-CNN, narrow."""
    cfg = get_config('mmdet::cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py').model
    cfg.backbone.update(depth=18, base_channels=8, init_cfg=None, norm_eval=False, frozen_stages=-1)
    cfg.neck.update(in_channels=[8, 16, 32, 64], out_channels=16)
    cfg.rpn_head.update(in_channels=16, feat_channels=16)
    head = cfg.roi_head
    head.bbox_roi_extractor.out_channels = head.mask_roi_extractor.out_channels = 16
    for stage in head.bbox_head:
        stage.update(in_channels=16, fc_out_channels=32, num_classes=3)
    head.mask_head.update(in_channels=16, conv_out_channels=16, num_convs=1, num_classes=3)
    for stage in cfg.train_cfg.rcnn:
        stage.sampler.num = 32
    cfg.train_cfg.rpn_proposal.max_per_img = cfg.test_cfg.rpn.max_per_img = 50
    cfg.test_cfg.rcnn.update(score_thr=0.0, max_per_img=20)
    return cfg
