# MS R-CNN, R18-FPN, mmdet's 2x schedule (24 epochs) at 600/1000 px.
# To reach on COCO val: the authors' 29.3 mask AP (18 epochs) or a little more.
_base_ = './ms_rcnn_r18_fpn.py'

train_cfg = dict(max_epochs=24)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', begin=0, end=24, by_epoch=True, milestones=[16, 22], gamma=0.1),
]
