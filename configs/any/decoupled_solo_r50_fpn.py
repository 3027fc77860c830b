# Decoupled SOLO, R50, with mask scores. Its MaskIoU head alone is trained, on what it detects.
# Give the weights of mmdet's own config: --cfg-options load_from=FILE
_base_ = ['mmdet::solo/decoupled-solo_r50_fpn_1x_coco.py', '../_base_/detector_mask_scoring.py']

model = dict(type='MSSOLO', **_base_.detector_mask_scoring)
visualizer = dict(type='MaskScoringVisualizer')
globals().update(_base_.head_only)
