# MS R-CNN, R101-FPN, mmdet's 1x schedule (12 epochs, 8 GPUs x 2 images).
# To reach on COCO val: mask AP 37.6 (mmdet's MS R-CNN R101-caffe 1x; Mask R-CNN 36.4), box AP as
# Mask R-CNN.
_base_ = ['mmdet::mask_rcnn/mask-rcnn_r101_fpn_1x_coco.py', './_base_/mask_scoring.py']

model = dict(roi_head={{_base_.mask_scoring}})
visualizer = dict(type='MaskScoringVisualizer')
