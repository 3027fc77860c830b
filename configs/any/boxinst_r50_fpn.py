# BoxInst, R50, with mask scores. Its MaskIoU head alone is trained, on what the model detects.
# Give the weights of mmdet's own config: --cfg-options load_from=FILE
_base_ = ['mmdet::boxinst/boxinst_r50_fpn_ms-90k_coco.py', '../_base_/detector_mask_scoring.py']

# BoxInst learns from boxes, its MaskIoU head from masks: its own preprocessor would replace them.
model = dict(
    type='MSBoxInst',
    data_preprocessor=dict(
        _delete_=True,
        type='DetDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_mask=True,
        pad_size_divisor=32,
    ),
    **_base_.detector_mask_scoring,
)
load, _, *rest = _base_.train_pipeline
masks = dict(type='LoadAnnotations', with_bbox=True, with_mask=True)
train_dataloader = dict(dataset=dict(pipeline=[load, masks, *rest]))
visualizer = dict(type='MaskScoringVisualizer')
globals().update(_base_.head_only)
