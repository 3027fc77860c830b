# MS R-CNN R50-FPN on data of your own in COCO format, by our recipe, from mmdet's weights of COCO.
# Change the three lines below. `msrcnn init` writes such a file for your data.
# To reach: that depends on your data. The test prints mask AP by class score and by mask score.
_base_ = 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py'
custom_imports = dict(imports=['msrcnn_plugin'], allow_failed_imports=False)

# Annotations and images to learn from and to test on, and the classes in the file's order.
train = ('train.json', 'images/')
val = ('val.json', 'images/')
classes = ('class_1', 'class_2')

# What `msrcnn init` chooses from the annotations.
scale = (1333, 800)  # longest and shortest side, in pixels, to which images are resized
anchors = dict(scales=[8], ratios=[0.5, 1.0, 2.0])
max_per_img = 100  # detections kept

loss = dict(type='CrossEntropyLoss', use_sigmoid=True, avg_non_ignore=True)
head = dict(type='MSMaskIoUHead', count_zero_targets=True, loss_iou=loss)
detections = dict(type='DetectionSampler', num=32, score_power=0.5)
sampler = dict(type='ReplaySampler', sampler=detections)
model = dict(
    rpn_head=dict(anchor_generator=anchors),
    roi_head=dict(
        type='MSRoIHead',
        bbox_head=dict(num_classes=len(classes)),
        mask_head=dict(num_classes=len(classes)),
        mask_iou_head=head,
        mask_iou_sampler=sampler,
    ),
    test_cfg=dict(rcnn=dict(max_per_img=max_per_img)),
)
weights = 'https://download.openmmlab.com/mmdetection/v2.0/mask_rcnn/mask_rcnn_r50_fpn_1x_coco/'
load_from = weights + 'mask_rcnn_r50_fpn_1x_coco_20200205-d4b0c5d6.pth'

load, annotate, _, flip, pack = _base_.train_pipeline
train_pipeline = [load, annotate, dict(type='Resize', scale=scale, keep_ratio=True), flip, pack]
load, _, *others = _base_.test_pipeline
test_pipeline = [load, dict(type='Resize', scale=scale, keep_ratio=True), *others]

common = dict(data_root='', metainfo=dict(classes=classes))
train_dataloader = dict(
    dataset=dict(
        ann_file=train[0],
        data_prefix=dict(img=train[1]),
        filter_cfg=dict(filter_empty_gt=False),  # empty images teach what is no object
        pipeline=train_pipeline,
        **common,
    )
)
val_dataloader = dict(
    dataset=dict(ann_file=val[0], data_prefix=dict(img=val[1]), pipeline=test_pipeline, **common)
)
test_dataloader = val_dataloader
val_evaluator = dict(type='MaskScoringMetric', ann_file=val[0])
test_evaluator = val_evaluator
visualizer = dict(type='MaskScoringVisualizer')
# The rate is mmdet's for 16 images a step; fewer lower it.
auto_scale_lr = dict(enable=True)
