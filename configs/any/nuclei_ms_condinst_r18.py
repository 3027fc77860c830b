# nuclei_condinst_r18.py with mask scores: its MaskIoU head alone is trained, on what it detects.
# Give its weights: --cfg-options load_from=FILE. What it reaches is not measured yet.
_base_ = ['./nuclei_condinst_r18.py', '../_base_/detector_mask_scoring.py']

scoring = _base_.detector_mask_scoring
narrow = dict(scoring.mask_iou_head, conv_out_channels=96, fc_out_channels=384)
model = dict(type='MSCondInst', **{**scoring, 'mask_iou_head': narrow})
visualizer = dict(type='MaskScoringVisualizer')
globals().update(_base_.head_only)
iters = 1200
train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=iters, val_interval=iters)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', T_max=iters, end=iters, by_epoch=False),
]
