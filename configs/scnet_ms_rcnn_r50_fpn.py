# SCNet with mask scoring, a cascade R-CNN with one mask head, R50-FPN, mmdet's 1x schedule (12
# epochs, 8 GPUs x 2 images); wants COCO's stuff maps beside the images.
# To reach on COCO val: box AP as SCNet (43.5), and a mask AP above its 39.2.
_base_ = ['mmdet::scnet/scnet_r50_fpn_1x_coco.py', './_base_/mask_scoring.py']

model = dict(roi_head={**_base_.mask_scoring, 'type': 'MSSCNetRoIHead'})
visualizer = dict(type='MaskScoringVisualizer')
