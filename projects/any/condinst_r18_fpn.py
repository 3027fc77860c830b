# CondInst R18-FPN on the synthetic set of `make demo`, from scratch: a trained model without RoI
# heads, to which msrcnn fit adds a mask score. Data as in configs/demo/mask_rcnn_r18_fpn.py.
_base_ = '../../configs/demo/mask_rcnn_r18_fpn.py'

width = 64
model = dict(
    _delete_=True,
    type='CondInst',
    data_preprocessor=_base_.model.data_preprocessor,
    backbone=dict(type='ResNet', depth=18, base_channels=32, norm_eval=False, style='pytorch'),
    neck=dict(
        type='FPN',
        in_channels=[32, 64, 128, 256],
        out_channels=width,
        start_level=1,
        add_extra_convs='on_output',
        num_outs=5,
        relu_before_extra_convs=True,
        norm_cfg=dict(type='BN'),
    ),
    bbox_head=dict(
        type='CondInstBboxHead',
        num_params=169,
        num_classes=len(_base_.classes),
        in_channels=width,
        feat_channels=width,
        stacked_convs=2,
        strides=[8, 16, 32, 64, 128],
        # Objects of this set are smaller than COCO's.
        regress_ranges=((-1, 32), (32, 64), (64, 128), (128, 256), (256, 1e8)),
        norm_on_bbox=True,
        centerness_on_reg=True,
        center_sampling=True,
        conv_bias=True,
        norm_cfg=dict(type='GN', num_groups=16),
        loss_cls=dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=1.0),
        loss_bbox=dict(type='GIoULoss', loss_weight=1.0),
        loss_centerness=dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0),
    ),
    mask_head=dict(
        type='CondInstMaskHead',
        num_layers=3,
        feat_channels=8,
        size_of_interest=8,
        mask_out_stride=4,
        max_masks_to_train=100,
        mask_feature_head=dict(
            in_channels=width,
            feat_channels=width,
            start_level=0,
            end_level=2,
            out_channels=8,
            mask_stride=8,
            num_stacked_convs=2,
            norm_cfg=dict(type='BN'),
        ),
        loss_mask=dict(type='DiceLoss', use_sigmoid=True, activate=True, eps=5e-6, loss_weight=1.0),
    ),
    test_cfg=dict(
        nms_pre=1000,
        min_bbox_size=0,
        score_thr=0.05,
        nms=dict(type='nms', iou_threshold=0.6),
        max_per_img=100,
        mask_thr=0.5,
    ),
)
max_iters = 900
train_cfg = dict(max_iters=max_iters, val_interval=2 * max_iters)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=50, end=max_iters, eta_min=1e-5),
]
