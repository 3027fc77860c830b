# MS R-CNN R50-FPN on Cityscapes, from mmdet's Mask R-CNN of COCO, on mmdet's schedule (64 epochs).
# It is tested by COCO's figures and by Cityscapes' own scripts, both by mask score.
# To reach on Cityscapes val: mask AP above that of mmdet's Mask R-CNN; not measured yet.
_base_ = [
    'mmdet::cityscapes/mask-rcnn_r50_fpn_1x_cityscapes.py',
    '../_base_/mask_scoring.py',
]

model = dict(roi_head={{_base_.mask_scoring}})
visualizer = dict(type='MaskScoringVisualizer')
coco, cityscapes = _base_.val_evaluator
val_evaluator = [dict(coco, type='MaskScoringMetric'), cityscapes]
test_evaluator = val_evaluator
