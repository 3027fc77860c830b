# RTMDet-Ins tiny on the nuclei of Data Science Bowl 2018, from scratch, for the CPU: the model that
# nuclei_ms_rtmdet_ins_tiny.py adds mask scores to. Data and variable as in
# ../nuclei/mask_rcnn_r18_fpn.py. Its AP is not measured yet.
from mmengine.hub import get_config

_base_ = '../nuclei/mask_rcnn_r18_fpn.py'

model = dict(_delete_=True, **get_config('mmdet::rtmdet/rtmdet-ins_tiny_8xb32-300e_coco.py').model)
model['backbone'].update(init_cfg=None, norm_cfg=dict(type='BN'))
model['neck'].update(norm_cfg=dict(type='BN'))
model['bbox_head'].update(num_classes=1, norm_cfg=dict(type='BN', requires_grad=True))
model['test_cfg'].update(max_per_img=300, score_thr=0.02)

max_epochs = 24
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=200),
    dict(
        type='CosineAnnealingLR',
        T_max=max_epochs,
        eta_min=5e-6,
        by_epoch=True,
        convert_to_iter_based=True,
        end=max_epochs,
    ),
]
