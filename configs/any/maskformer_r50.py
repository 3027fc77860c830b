# MaskFormer, R50, with mask scores. Its MaskIoU head alone is trained, on what the model detects.
# Give the weights of mmdet's own config: --cfg-options load_from=FILE
_base_ = [
    'mmdet::maskformer/maskformer_r50_ms-16xb1-75e_coco.py',
    '../_base_/detector_mask_scoring.py',
]

# Its config is panoptic. The mask score is of its instances.
model = dict(type='MSMaskFormer', test_cfg=dict(instance_on=True), **_base_.detector_mask_scoring)
annotations = 'data/coco/annotations/instances_val2017.json'
instances = dict(type='MaskScoringMetric', ann_file=annotations, metric=['bbox', 'segm'])
val_evaluator = [_base_.val_evaluator, instances]
test_evaluator = val_evaluator
visualizer = dict(type='MaskScoringVisualizer')
globals().update(_base_.head_only)
