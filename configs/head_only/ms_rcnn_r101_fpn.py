# The mask score for a trained Mask R-CNN R101-FPN: its MaskIoU head alone is trained, for 2 epochs,
# on what the model detects. Give the weights:
#     --cfg-options load_from=mask_rcnn.pth
# To reach on COCO val: the Mask R-CNN's box AP to the digit, and a mask AP above its own.
_base_ = ['../ms_rcnn_r101_fpn.py', '../_base_/learn_from_detections.py']

model = dict(roi_head={{_base_.learn_from_detections}})
custom_hooks = [dict(type='TrainMaskIoUHeadOnlyHook')]
train_cfg = dict(max_epochs=2, val_interval=1)
param_scheduler = [dict(type='MultiStepLR', by_epoch=True, end=2, milestones=[1], gamma=0.1)]
