# Mask R-CNN R50-FPN on the nuclei of Data Science Bowl 2018, from scratch, at 512 px, for a GPU:
# the model that ms_rcnn_r50_fpn.py is compared with. The data as in mask_rcnn_r18_fpn.py.
# To reach: more than mask_rcnn_r18_fpn.py does, box AP 38.4 and mask AP 40.9. How much is not
# measured yet.
_base_ = './mask_rcnn_r18_fpn.py'

width = 256
model = dict(
    backbone=dict(depth=50),
    neck=dict(in_channels=[256, 512, 1024, 2048], out_channels=width),
    rpn_head=dict(in_channels=width, feat_channels=width),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=width),
        bbox_head=dict(in_channels=width, fc_out_channels=1024),
        mask_roi_extractor=dict(out_channels=width),
        mask_head=dict(in_channels=width, conv_out_channels=width),
    ),
    train_cfg=dict(rcnn=dict(sampler=dict(num=256))),
)

train_pipeline = [*_base_.train_pipeline]
train_pipeline[2] = dict(train_pipeline[2], scale=(512, 512))  # RandomResize
train_pipeline[3] = dict(train_pipeline[3], crop_size=(512, 512))  # RandomCrop
test_pipeline = [*_base_.test_pipeline]
test_pipeline[1] = dict(test_pipeline[1], scale=(704, 704))  # Resize
train_dataloader = dict(batch_size=8, num_workers=4, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(num_workers=4, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

max_epochs = 40
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
optim_wrapper = dict(optimizer=dict(lr=2e-4))
warmup, cosine = _base_.param_scheduler
param_scheduler = [dict(warmup, end=500), dict(cosine, T_max=max_epochs, end=max_epochs)]
