# SOLOv2 R18-FPN on the synthetic set of `make demo`, from scratch: a model without RoI heads whose
# own score holds the mean mask probability. The data as in configs/demo/mask_rcnn_r18_fpn.py.
_base_ = '../../configs/demo/mask_rcnn_r18_fpn.py'

width = 64
norm_cfg = dict(type='GN', num_groups=16)
model = dict(
    _delete_=True,
    type='SOLOv2',
    data_preprocessor=_base_.model.data_preprocessor,
    backbone=dict(type='ResNet', depth=18, base_channels=32, norm_eval=False, style='pytorch'),
    neck=dict(type='FPN', in_channels=[32, 64, 128, 256], out_channels=width, num_outs=5),
    mask_head=dict(
        type='SOLOV2Head',
        num_classes=len(_base_.classes),
        in_channels=width,
        feat_channels=width,
        stacked_convs=2,
        strides=[8, 8, 16, 32, 32],
        # Objects of this set are smaller than COCO's.
        scale_ranges=((1, 24), (12, 48), (24, 96), (48, 192), (96, 512)),
        pos_scale=0.2,
        num_grids=[32, 24, 16, 12, 8],
        norm_cfg=norm_cfg,
        mask_feature_head=dict(
            feat_channels=width,
            start_level=0,
            end_level=3,
            out_channels=width,
            mask_stride=4,
            norm_cfg=norm_cfg,
        ),
        loss_mask=dict(type='DiceLoss', use_sigmoid=True, loss_weight=3.0),
        loss_cls=dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=1.0),
    ),
    test_cfg=dict(
        nms_pre=500,
        score_thr=0.1,
        mask_thr=0.5,
        filter_thr=0.05,
        kernel='gaussian',
        sigma=2.0,
        max_per_img=100,
    ),
)
max_iters = 1000
train_cfg = dict(max_iters=max_iters, val_interval=2 * max_iters)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=50, end=max_iters, eta_min=1e-5),
]
