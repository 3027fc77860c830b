# MS R-CNN, ResNeXt-101 32x4d-FPN, mmdet's 2x schedule (24 epochs, 8 GPUs x 2 images).
# To reach on COCO val: above the 38.7 mask AP of 1x; no figure is published for this schedule.
_base_ = ['mmdet::mask_rcnn/mask-rcnn_x101-32x4d_fpn_2x_coco.py', './_base_/mask_scoring.py']

model = dict(roi_head={{_base_.mask_scoring}})
visualizer = dict(type='MaskScoringVisualizer')
