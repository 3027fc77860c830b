# HTC with mask scoring, R50-FPN without the semantic branch, mmdet's 1x schedule (12 epochs, 8 GPUs
# x 2 images).
# To reach on COCO val: box AP as HTC without that branch, and a mask AP above its own.
_base_ = ['mmdet::htc/htc-without-semantic_r50_fpn_1x_coco.py', './_base_/mask_scoring.py']

model = dict(roi_head={**_base_.mask_scoring, 'type': 'MSHTCRoIHead'})
visualizer = dict(type='MaskScoringVisualizer')
