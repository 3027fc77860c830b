# MS R-CNN, R101-FPN, the paper's schedule: 18 epochs, learning rate x 0.1 after 14 and 17 (section
# 4.1).
# To reach on COCO val: mask AP 38.2 (paper), box AP as Mask R-CNN.
_base_ = './ms_rcnn_r101_fpn.py'

train_cfg = dict(max_epochs=18)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', begin=0, end=18, by_epoch=True, milestones=[14, 17], gamma=0.1),
]
