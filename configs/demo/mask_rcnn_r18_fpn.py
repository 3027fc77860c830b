# Mask R-CNN on the synthetic set of tools/make_demo_data.py: `make demo` trains it, then adds a
# mask score by msrcnn fit. From scratch on two CPU cores, so everything is narrow and small, and
# normalised throughout.
# To reach: box AP 22, mask AP 22 by class score, and 26 by the mask score that is fitted in four
# minutes of two idle cores.
#
# DEMO_ROOT names the folder of the data, which tools/make_demo_data.py writes:
#     DEMO_ROOT=FOLDER mim train mmdet configs/demo/mask_rcnn_r18_fpn.py
# Another data_root, as --cfg-options would give it, is refused.
_base_ = ['mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py', '../_base_/mask_scoring.py']

data_root = '{{$DEMO_ROOT:work_dirs/demo/data}}/'
classes = ('cell', 'leaf', 'star', 'lesion')
width = 64  # channels of FPN and heads; 256 in the paper
group_norm = dict(type='GN', num_groups=16)

model = dict(
    backbone=dict(
        depth=18,
        base_channels=32,
        frozen_stages=-1,  # nothing is pretrained
        norm_eval=False,
        init_cfg=None,
    ),
    neck=dict(in_channels=[32, 64, 128, 256], out_channels=width, norm_cfg=dict(type='BN')),
    rpn_head=dict(
        in_channels=width,
        feat_channels=width,
        anchor_generator=dict(scales=[3]),  # 12 px to 192 px
    ),
    roi_head=dict(
        # Objects above 28 px, not 112 px, leave the finest level: images are small, too.
        bbox_roi_extractor=dict(out_channels=width, finest_scale=28),
        bbox_head=dict(
            type='ConvFCBBoxHead',
            num_shared_convs=2,
            num_shared_fcs=1,
            in_channels=width,
            conv_out_channels=width,
            fc_out_channels=256,
            num_classes=len(classes),
            reg_class_agnostic=True,
            norm_cfg=group_norm,
        ),
        mask_roi_extractor=dict(out_channels=width, finest_scale=28),
        mask_head=dict(
            num_convs=3,
            in_channels=width,
            conv_out_channels=width,
            num_classes=len(classes),
            norm_cfg=group_norm,
        ),
    ),
    train_cfg=dict(
        rpn=dict(sampler=dict(num=128)),
        rpn_proposal=dict(nms_pre=500, max_per_img=200),
        rcnn=dict(sampler=dict(num=96)),
    ),
    test_cfg=dict(rpn=dict(nms_pre=500, max_per_img=200)),
)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(
        type='RandomFlip',
        prob=[0.25, 0.25, 0.25],
        direction=['horizontal', 'vertical', 'diagonal'],
    ),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(256, 256), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]
dataset = dict(data_root=data_root, metainfo=dict(classes=classes))
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    sampler=dict(_delete_=True, type='InfiniteSampler'),
    dataset=dict(
        ann_file='annotations/instances_train.json',
        data_prefix=dict(img='train/'),
        filter_cfg=dict(filter_empty_gt=False),
        pipeline=train_pipeline,
        **dataset,
    ),
)
val_dataloader = dict(
    batch_size=4,
    num_workers=1,
    dataset=dict(
        ann_file='annotations/instances_val.json',
        data_prefix=dict(img='val/'),
        pipeline=test_pipeline,
        **dataset,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(
    type='MaskScoringMetric', ann_file=data_root + 'annotations/instances_val.json'
)
test_evaluator = val_evaluator

max_iters = 450  # below 8 minutes on two cores
train_cfg = dict(
    _delete_=True, type='IterBasedTrainLoop', max_iters=max_iters, val_interval=2 * max_iters
)
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
    clip_grad=dict(max_norm=5.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=50, end=max_iters, eta_min=1e-5),
]
default_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(by_epoch=False, interval=120, max_keep_ckpts=1),
    data_root=dict(type='DataRootHook', data_root=data_root, variable='DEMO_ROOT'),
)
log_processor = dict(by_epoch=False, window_size=20)
randomness = dict(seed=0)
