# What gives a trained detector without RoI heads its mask score: the MaskIoU head alone is trained,
# on what the model detects in the training images (our recipe, as in learn_from_detections.py). A
# leaf config takes over both:
#     model = dict(type='MSRTMDet', **_base_.detector_mask_scoring)
#     globals().update(_base_.head_only)
detector_mask_scoring = dict(
    mask_iou_head=dict(
        type='MSMaskIoUHead',
        num_convs=4,
        num_fcs=2,
        count_zero_targets=True,  # a false detection has IoU 0
        loss_iou=dict(
            type='CrossEntropyLoss', use_sigmoid=True, avg_non_ignore=True, loss_weight=1.0
        ),
    ),
    mask_iou_sampler=dict(
        type='ReplaySampler',
        sampler=dict(type='DetectorSampler', num=32, score_power=0.5),
        steps=16,
        samples=256,
    ),
)

# The hosts' own are made for hundreds of epochs of all weights. By iterations: some samplers
# never end. The second import lets `--launcher pytorch` run on a machine without a GPU.
iters = 15000
head_only = dict(
    custom_imports=dict(
        imports=['msrcnn_plugin', 'msrcnn_plugin.cpu_launcher'], allow_failed_imports=False
    ),
    custom_hooks=[dict(type='TrainMaskIoUHeadOnlyHook')],
    default_hooks=dict(checkpoint=dict(by_epoch=False, interval=5000)),
    log_processor=dict(by_epoch=False),
    train_cfg=dict(_delete_=True, type='IterBasedTrainLoop', max_iters=iters, val_interval=iters),
    optim_wrapper=dict(
        _delete_=True,
        type='OptimWrapper',
        optimizer=dict(type='AdamW', lr=2e-4, weight_decay=0.05),
        clip_grad=dict(max_norm=5.0),
    ),
    param_scheduler=[
        dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=200),
        dict(type='CosineAnnealingLR', T_max=iters, end=iters, by_epoch=False),
    ],
)
