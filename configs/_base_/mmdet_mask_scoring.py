# What turns a Mask R-CNN of mmdet into mmdet's own MS R-CNN, with which this plugin is compared.
# The leaf config adds the widths, which mmdet's MaskIoU head does not take from its host.
mmdet_mask_scoring = dict(
    type='MaskScoringRoIHead',
    mask_iou_head=dict(type='MaskIoUHead', num_convs=4, num_fcs=2, roi_feat_size=14, num_classes=1),
)
