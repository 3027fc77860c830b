# MS R-CNN R18-FPN on nuclei by the paper's recipe, the whole model, for 2 epochs from a trained
# Mask R-CNN: the MaskIoU head's loss sends its gradient through the mask into the mask head, as in
# the paper's code. On a frozen trunk it would change nothing. study_whole.py compares it with
# detached_mask.py.
# Expected: masks as good as with detached_mask.py; the gradient is small beside the mask loss's.
# Reached: gain -0.33, Pearson 0.536 (README).
_base_ = '../nuclei/paper_ms_rcnn_r18_fpn.py'

max_epochs = 2
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
warmup, cosine = _base_.param_scheduler
param_scheduler = [warmup, dict(cosine, T_max=max_epochs, end=max_epochs)]
optim_wrapper = dict(optimizer=dict(lr=2e-4))  # below the trunk's 5e-4: it has been trained
