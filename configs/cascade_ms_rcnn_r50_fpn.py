# Cascade MS R-CNN, R50-FPN, mmdet's 1x schedule (12 epochs, 8 GPUs x 2 images).
# To reach on COCO val: box AP as Cascade Mask R-CNN (41.2), and a mask AP above its 35.9.
_base_ = ['mmdet::cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py', './_base_/mask_scoring.py']

model = dict(roi_head={**_base_.mask_scoring, 'type': 'MSCascadeRoIHead'})
visualizer = dict(type='MaskScoringVisualizer')
