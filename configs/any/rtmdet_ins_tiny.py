# RTMDet-Ins tiny, with mask scores. Its MaskIoU head alone is trained, on what the model detects.
# Give the weights of mmdet's own config: --cfg-options load_from=FILE
_base_ = ['mmdet::rtmdet/rtmdet-ins_tiny_8xb32-300e_coco.py', '../_base_/detector_mask_scoring.py']

model = dict(type='MSRTMDet', **_base_.detector_mask_scoring)
# Without mosaic and mixup, in which a model detects otherwise than at test.
train_dataloader = dict(dataset=dict(pipeline=_base_.train_pipeline_stage2))
visualizer = dict(type='MaskScoringVisualizer')
globals().update(_base_.head_only)
