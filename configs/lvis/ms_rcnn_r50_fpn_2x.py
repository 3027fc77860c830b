# MS R-CNN R50-FPN on LVIS v1: class-balanced sampling, Seesaw loss, LVIS's own evaluator, mmdet's
# 2x schedule. Masks are ranked by mask score, boxes by class score.
# To reach on LVIS v1 val: mask AP above 26.4 (mmdet's Mask R-CNN); not measured yet.
_base_ = [
    'mmdet::seesaw_loss/mask-rcnn_r50_fpn_seesaw-loss_sample1e-3-ms-2x_lvis-v1.py',
    '../_base_/mask_scoring.py',
]

# The paper's recipe, from positives. A detection of a category that nobody looked for in its image
# would have IoU 0 in ours, though it may be right.
model = dict(roi_head={{_base_.mask_scoring}})
visualizer = dict(type='MaskScoringVisualizer')
