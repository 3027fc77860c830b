# RTMDet-Ins tiny on the synthetic set of `make demo`, from scratch: a trained model without RoI
# heads, to which msrcnn fit adds a mask score. The data as in configs/demo/mask_rcnn_r18_fpn.py.
_base_ = '../../configs/demo/mask_rcnn_r18_fpn.py'

width = 96
norm_act = dict(norm_cfg=dict(type='BN'), act_cfg=dict(type='SiLU', inplace=True))
model = dict(
    _delete_=True,
    type='RTMDet',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[103.53, 116.28, 123.675],
        std=[57.375, 57.12, 58.395],
        bgr_to_rgb=False,
        pad_mask=True,
        pad_size_divisor=32,
    ),
    backbone=dict(
        type='CSPNeXt',
        arch='P5',
        expand_ratio=0.5,
        deepen_factor=0.167,
        widen_factor=0.375,
        channel_attention=True,
        **norm_act,
    ),
    neck=dict(
        type='CSPNeXtPAFPN',
        in_channels=[96, 192, 384],
        out_channels=width,
        num_csp_blocks=1,
        expand_ratio=0.5,
        **norm_act,
    ),
    bbox_head=dict(
        type='RTMDetInsSepBNHead',
        num_classes=len(_base_.classes),
        in_channels=width,
        feat_channels=width,
        stacked_convs=2,
        share_conv=True,
        pred_kernel_size=1,
        anchor_generator=dict(type='MlvlPointGenerator', offset=0, strides=[8, 16, 32]),
        bbox_coder=dict(type='DistancePointBBoxCoder'),
        loss_cls=dict(type='QualityFocalLoss', use_sigmoid=True, beta=2.0, loss_weight=1.0),
        loss_bbox=dict(type='GIoULoss', loss_weight=2.0),
        loss_mask=dict(type='DiceLoss', loss_weight=2.0, eps=5e-6, reduction='mean'),
        **norm_act,
    ),
    train_cfg=dict(
        assigner=dict(type='DynamicSoftLabelAssigner', topk=13), allowed_border=-1, pos_weight=-1
    ),
    test_cfg=dict(
        nms_pre=1000,
        min_bbox_size=0,
        score_thr=0.05,
        nms=dict(type='nms', iou_threshold=0.6),
        max_per_img=100,
        mask_thr_binary=0.5,
    ),
)
max_iters = 1000
train_cfg = dict(max_iters=max_iters, val_interval=2 * max_iters)
# The levels of its head share their convolutions.
optim_wrapper = dict(paramwise_cfg=dict(bypass_duplicate=True))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=100, end=max_iters, eta_min=1e-5),
]
