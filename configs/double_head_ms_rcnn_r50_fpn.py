# Double-Head R-CNN with a mask branch and mask scoring, R50-FPN, mmdet's 1x schedule (12 epochs, 8
# GPUs x 2 images). mmdet's Double-Head R-CNN has no mask branch: this is its Mask R-CNN with what
# that changes.
# To reach on COCO val: a box AP of 40.0 or more (mmdet's, without masks); no mask AP is published.
_base_ = ['mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py', './_base_/mask_scoring.py']

model = dict(
    roi_head={
        **_base_.mask_scoring,
        'type': 'MSDoubleHeadRoIHead',
        'reg_roi_scale_factor': 1.3,
        'bbox_head': dict(
            type='DoubleConvFCBBoxHead',
            num_convs=4,
            num_fcs=2,
            conv_out_channels=1024,
            loss_cls=dict(loss_weight=2.0),
            loss_bbox=dict(type='SmoothL1Loss', beta=1.0, loss_weight=2.0),
        ),
    }
)
visualizer = dict(type='MaskScoringVisualizer')
