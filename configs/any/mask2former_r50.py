# Mask2Former, R50, with mask scores. Its MaskIoU head alone is trained, on what the model detects.
# Give the weights of mmdet's own config: --cfg-options load_from=FILE
_base_ = [
    'mmdet::mask2former/mask2former_r50_8xb2-lsj-50e_coco.py',
    '../_base_/detector_mask_scoring.py',
]

model = dict(type='MSMask2Former', **_base_.detector_mask_scoring)
visualizer = dict(type='MaskScoringVisualizer')
globals().update(_base_.head_only)
