# MS R-CNN on the nuclei of Data Science Bowl 2018, from scratch, for the CPU: some 10 epochs in
# half an hour on two cores. The data as in mask_rcnn_r18_fpn.py.
_base_ = './mask_rcnn_r18_fpn.py'

narrow = dict(conv_out_channels=_base_.width, fc_out_channels=256)
mask_scoring = dict(mask_iou_head=narrow)
model = dict(
    roi_head={
        **_base_.mask_scoring,
        'mask_iou_head': {**_base_.mask_scoring.mask_iou_head, **narrow},
    }
)
