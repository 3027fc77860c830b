# Mask R-CNN R18-C4 on the synthetic set of `make demo`, from scratch: no FPN, and the backbone's
# last stage sees the RoIs. The data as in demo/mask_rcnn_r18_fpn.py.
# To reach: box AP 9.3, mask AP 8.4; 11.5 with what msrcnn fit adds (docs/results/mask_rcnn.md).
_base_ = '../demo/mask_rcnn_r18_fpn.py'

last_stage = dict(type='ResLayer', depth=18, stage=3, norm_cfg=dict(type='BN'), norm_eval=False)
extractor = dict(out_channels=256, featmap_strides=[16], roi_layer=dict(output_size=14))
model = dict(
    backbone=dict(
        base_channels=64,  # the width of a ResLayer
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(2,),
    ),
    neck=None,
    # All anchors of the FPN, on one level.
    rpn_head=dict(
        in_channels=256,
        feat_channels=256,
        anchor_generator=dict(strides=[16], scales=[0.75, 1.5, 3, 6, 12]),
    ),
    roi_head=dict(
        shared_head=last_stage,
        bbox_roi_extractor=extractor,
        bbox_head=dict(
            _delete_=True,
            type='BBoxHead',
            with_avg_pool=True,
            in_channels=512,
            num_classes=len(_base_.classes),
            reg_class_agnostic=True,
            loss_bbox=dict(type='L1Loss', loss_weight=1.0),
        ),
        mask_roi_extractor=None,
        mask_head=dict(num_convs=0, in_channels=512),
    ),
    # The last stage takes a hundred times what a head takes: fewer RoIs.
    train_cfg=dict(
        rpn_proposal=dict(max_per_img=100), rcnn=dict(sampler=dict(num=32), mask_size=14)
    ),
    test_cfg=dict(rpn=dict(max_per_img=100)),
)
