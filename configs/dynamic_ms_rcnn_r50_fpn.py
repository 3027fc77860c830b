# Dynamic R-CNN with a mask branch and mask scoring, R50-FPN, mmdet's 1x schedule (12 epochs, 8 GPUs
# x 2 images). mmdet's Dynamic R-CNN has no mask branch: this is its Mask R-CNN with what that
# changes.
# To reach on COCO val: a box AP of 38.9 or more (mmdet's, without masks); no mask AP is published.
_base_ = ['mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py', './_base_/mask_scoring.py']

model = dict(
    roi_head={
        **_base_.mask_scoring,
        'type': 'MSDynamicRoIHead',
        'bbox_head': dict(loss_bbox=dict(type='SmoothL1Loss', beta=1.0)),
    },
    train_cfg=dict(
        rpn_proposal=dict(nms=dict(iou_threshold=0.85)),
        rcnn=dict(
            dynamic_rcnn=dict(
                iou_topk=75,
                beta_topk=10,
                update_iter_interval=100,
                initial_iou=0.4,
                initial_beta=1.0,
            )
        ),
    ),
    test_cfg=dict(rpn=dict(nms=dict(iou_threshold=0.85))),
)
visualizer = dict(type='MaskScoringVisualizer')
