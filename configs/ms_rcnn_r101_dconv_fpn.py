# MS R-CNN, R101-DCN-FPN (deformable convolutions in stages c3 to c5), mmdet's 1x schedule (12
# epochs, 8 GPUs x 2 images).
# To reach on COCO val: mask AP 39.1 (paper, 18 epochs), box AP as mmdet's Mask R-CNN (43.5; its
# mask AP 38.9).
_base_ = ['mmdet::dcn/mask-rcnn_r101-dconv-c3-c5_fpn_1x_coco.py', './_base_/mask_scoring.py']

model = dict(roi_head={{_base_.mask_scoring}})
visualizer = dict(type='MaskScoringVisualizer')
