# mmdet's own MS R-CNN R50-FPN on the nuclei of Data Science Bowl 2018, trained as
# mask_rcnn_r50_fpn.py is: what ms_rcnn_r50_fpn.py is compared with.
# To reach: boxes and masks as good as those of mask_rcnn_r50_fpn.py. Not measured yet.
_base_ = ['./mask_rcnn_r50_fpn.py', '../_base_/mmdet_mask_scoring.py']

widths = dict(in_channels=_base_.width, conv_out_channels=_base_.width, fc_out_channels=1024)
stock = _base_.mmdet_mask_scoring
model = dict(
    type='MaskScoringRCNN',
    roi_head={**stock, 'mask_iou_head': {**stock.mask_iou_head, **widths}},
    train_cfg=dict(rcnn=dict(mask_thr_binary=0.5)),
)
# Its predicted IoU, and with it its score, has no bounds.
val_evaluator = dict(bounded_scores=False)
test_evaluator = val_evaluator
