# MS R-CNN R18-FPN on nuclei by our recipe: the MaskIoU head alone, for 2 epochs on a trained Mask
# R-CNN. Most rows of projects/ablations/table.py change one thing of it. The data as in
# nuclei/mask_rcnn_r18_fpn.py; give the weights with --cfg-options load_from=mask_rcnn.pth.
# To reach: mask AP 42.5, 1.36 above the class score; Pearson 0.832 (docs/results/ablations.md).
_base_ = '../nuclei/ms_rcnn_r18_fpn.py'

custom_hooks = [dict(type='TrainMaskIoUHeadOnlyHook')]
max_epochs = 2
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
warmup, cosine = _base_.param_scheduler
param_scheduler = [warmup, dict(cosine, T_max=max_epochs, end=max_epochs)]
optim_wrapper = dict(optimizer=dict(lr=1e-3))  # a new head on a trunk that stays
