# YOLACT, R50, with mask scores. Its MaskIoU head alone is trained, on what the model detects.
# Give the weights of mmdet's own config: --cfg-options load_from=FILE
_base_ = ['mmdet::yolact/yolact_r50_1xb8-55e_coco.py', '../_base_/detector_mask_scoring.py']

model = dict(type='MSYOLACT', **_base_.detector_mask_scoring)
visualizer = dict(type='MaskScoringVisualizer')
globals().update(_base_.head_only)
