# PointRend with mask scoring: Mask R-CNN R50-caffe-FPN whose masks are refined, mmdet's multi-scale
# 1x schedule (12 epochs, 8 GPUs x 2 images).
# To reach on COCO val: box AP as PointRend (38.4), and a mask AP above its 36.3.
_base_ = ['mmdet::point_rend/point-rend_r50-caffe_fpn_ms-1x_coco.py', './_base_/mask_scoring.py']

model = dict(roi_head={**_base_.mask_scoring, 'type': 'MSPointRendRoIHead'})
visualizer = dict(type='MaskScoringVisualizer')
