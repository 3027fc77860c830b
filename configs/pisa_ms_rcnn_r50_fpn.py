# Mask R-CNN trained with Prime Sample Attention, with mask scoring, R50-FPN, mmdet's 1x schedule
# (12 epochs, 8 GPUs x 2 images).
# To reach on COCO val: box AP as with PISA (39.1), and a mask AP above its 35.2.
_base_ = ['mmdet::pisa/mask-rcnn_r50_fpn_pisa_1x_coco.py', './_base_/mask_scoring.py']

model = dict(roi_head={**_base_.mask_scoring, 'type': 'MSPISARoIHead'})
visualizer = dict(type='MaskScoringVisualizer')
