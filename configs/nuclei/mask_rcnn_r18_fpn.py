# Mask R-CNN on the nuclei of Data Science Bowl 2018, from scratch, for the CPU: the model that
# ms_rcnn_r18_fpn.py is compared with. Three quarters of an hour on one core.
# To reach: box AP 38.4, mask AP 40.9 (mean of two seeds, docs/results/nuclei.md).
#
# DSB2018_ROOT names the folder of the data, which tools/convert_dsb2018.py writes:
#     DSB2018_ROOT=FOLDER mim train mmdet configs/nuclei/mask_rcnn_r18_fpn.py
# Another data_root, as --cfg-options would give it, is refused.
_base_ = ['mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py', '../_base_/mask_scoring.py']

data_root = '{{$DSB2018_ROOT:data/dsb2018}}/'

width = 96  # channels of FPN and heads; 256 in the paper
model = dict(
    backbone=dict(
        depth=18,
        frozen_stages=-1,  # nothing is pretrained
        norm_eval=False,
        init_cfg=None,
    ),
    neck=dict(in_channels=[64, 128, 256, 512], out_channels=width),
    rpn_head=dict(
        in_channels=width,
        feat_channels=width,
        anchor_generator=dict(scales=[4]),  # 16 px and up: half of the nuclei are smaller
    ),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=width),
        bbox_head=dict(in_channels=width, fc_out_channels=512, num_classes=1),
        mask_roi_extractor=dict(out_channels=width),
        mask_head=dict(in_channels=width, conv_out_channels=width, num_classes=1),
    ),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=1000, max_per_img=500),
        rcnn=dict(sampler=dict(num=128)),
    ),
    # An image can hold more than 300 nuclei.
    test_cfg=dict(rpn=dict(nms_pre=2000, max_per_img=1000), rcnn=dict(max_per_img=300)),
)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='RandomResize', scale=(320, 320), ratio_range=(0.8, 1.6), keep_ratio=True),
    dict(type='RandomCrop', crop_size=(320, 320), recompute_bbox=True, allow_negative_crop=True),
    # A nucleus that is cropped away leaves a box without area, for which the box loss is NaN.
    dict(type='FilterAnnotations', min_gt_bbox_wh=(1, 1), by_mask=True),
    dict(
        type='RandomFlip',
        prob=[0.25, 0.25, 0.25],
        direction=['horizontal', 'vertical', 'diagonal'],
    ),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(448, 448), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]
dataset = dict(data_root=data_root, metainfo=dict(classes=('nucleus',)))
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    dataset=dict(
        ann_file='annotations/instances_train.json',
        data_prefix=dict(img='train/'),
        pipeline=train_pipeline,
        **dataset,
    ),
)
val_dataloader = dict(
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
    type='MaskScoringMetric',
    ann_file=data_root + 'annotations/instances_val.json',
    # COCO reads its main AP at 100 detections an image, AP50 and AP75 at the last number.
    proposal_nums=(10, 100, 300),
)
test_evaluator = val_evaluator

max_epochs = 8
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=5e-4, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
    clip_grad=dict(max_norm=5.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(
        type='CosineAnnealingLR',
        T_max=max_epochs,
        eta_min=5e-6,
        by_epoch=True,
        convert_to_iter_based=True,
        begin=0,
        end=max_epochs,
    ),
]
default_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(max_keep_ckpts=2),
    data_root=dict(type='DataRootHook', data_root=data_root, variable='DSB2018_ROOT'),
)
