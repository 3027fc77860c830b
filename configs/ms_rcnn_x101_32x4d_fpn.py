# MS R-CNN, ResNeXt-101 32x4d-FPN, mmdet's 1x schedule (12 epochs, 8 GPUs x 2 images).
# To reach on COCO val: mask AP 38.7 (mmdet's MS R-CNN; Mask R-CNN 37.5), box AP as Mask R-CNN.
_base_ = ['mmdet::mask_rcnn/mask-rcnn_x101-32x4d_fpn_1x_coco.py', './_base_/mask_scoring.py']

model = dict(roi_head={{_base_.mask_scoring}})
visualizer = dict(type='MaskScoringVisualizer')
