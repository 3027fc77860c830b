# mmdet's own MS R-CNN R50-FPN on the nuclei of Data Science Bowl 2018, trained as
# mask_rcnn_r50_fpn.py is: what ms_rcnn_r50_fpn.py is compared with.
# To reach: boxes and masks as good as those of mask_rcnn_r50_fpn.py; study_gpu.py measures it.
_base_ = './mask_rcnn_r50_fpn.py'

model = dict(
    type='MaskScoringRCNN',
    roi_head=dict(
        type='MaskScoringRoIHead',
        mask_iou_head=dict(
            type='MaskIoUHead',
            num_convs=4,
            num_fcs=2,
            roi_feat_size=14,
            in_channels=_base_.width,
            conv_out_channels=_base_.width,
            fc_out_channels=1024,
            num_classes=1,
        ),
    ),
    train_cfg=dict(rcnn=dict(mask_thr_binary=0.5)),
)
# Its predicted IoU, and with it its score, has no bounds.
val_evaluator = dict(bounded_scores=False)
test_evaluator = val_evaluator
