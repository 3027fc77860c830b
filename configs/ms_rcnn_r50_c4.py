# MS R-CNN, R50-caffe-C4 (shared head, RoI feature of 2048 channels, no FPN), mmdet's 1x schedule
# (12 epochs, 8 GPUs x 2 images).
# To reach on COCO val: box AP as Mask R-CNN C4, and a mask AP above its own; none is published.
_base_ = ['mmdet::mask_rcnn/mask-rcnn_r50-caffe-c4_1x_coco.py', './_base_/mask_scoring.py']

model = dict(roi_head={{_base_.mask_scoring}})
visualizer = dict(type='MaskScoringVisualizer')
