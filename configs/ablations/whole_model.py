# MS R-CNN R18-FPN on nuclei by the paper's recipe: the whole model, for 2 epochs from a trained
# Mask R-CNN. The MaskIoU head's loss sends its gradient through the mask into the mask head, as in
# the paper's code. Data and weights as in detections.py.
# To reach: mask AP 41.8, 0.33 below the class score; Pearson 0.536 (docs/results/ablations.md).
_base_ = '../nuclei/paper_ms_rcnn_r18_fpn.py'

max_epochs = 2
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
warmup, cosine = _base_.param_scheduler
param_scheduler = [warmup, dict(cosine, T_max=max_epochs, end=max_epochs)]
optim_wrapper = dict(optimizer=dict(lr=2e-4))  # below the trunk's 5e-4: it has been trained
