# The mask head alone, from scratch, for 4 epochs on a trained Mask R-CNN R18-FPN on nuclei: what
# Mask R-CNN's ablations and losses of the mask on nuclei change. The data as in
# nuclei/mask_rcnn_r18_fpn.py; give the weights with --cfg-options load_from=mask_rcnn.pth.
# To reach: mask AP 41.1; 44.3 with what msrcnn fit adds (docs/results/mask_rcnn.md).
_base_ = '../nuclei/mask_rcnn_r18_fpn.py'

custom_imports = dict(imports=['msrcnn_plugin', 'projects.ablations.components'])
custom_hooks = [dict(type='TrainMaskHeadAnewHook')]
max_epochs = 4
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
warmup, cosine = _base_.param_scheduler
param_scheduler = [warmup, dict(cosine, T_max=max_epochs, end=max_epochs)]
optim_wrapper = dict(optimizer=dict(lr=1e-3))  # a new head on a trunk that stays
