# Our recipe for the MaskIoU head, beside the paper's: it learns from what the model detects in the
# training images, false detections included, the IoU that evaluation finds, by binary
# cross-entropy. A leaf config of any host takes it with two lines:
#     _base_ = ['../ms_rcnn_r50_fpn.py', '../_base_/learn_from_detections.py']
#     model = dict(roi_head={{_base_.learn_from_detections}})
learn_from_detections = dict(
    # So many of an image's, rather those with a high class score: they rank first. Learned again in
    # the steps after: those of a step's few images resemble each other.
    mask_iou_sampler=dict(
        type='ReplaySampler',
        sampler=dict(type='DetectionSampler', num=32, score_power=0.5),
        steps=16,
        samples=256,
    ),
    mask_iou_head=dict(
        count_zero_targets=True,  # a false detection has IoU 0
        loss_iou=dict(
            _delete_=True,
            type='CrossEntropyLoss',
            use_sigmoid=True,
            avg_non_ignore=True,
            loss_weight=1.0,
        ),
    ),
)
