"""The variants of the MaskIoU head, small."""

from mmdet.registry import MODELS

SMALL = dict(num_convs=2, num_fcs=1, conv_out_channels=8, fc_out_channels=16)
SIZES = dict(in_channels=4, roi_feat_size=14, num_classes=3)


def small_variant(name, **kwargs):
    head = MODELS.build(dict(type=name, **{**SMALL, **SIZES, **kwargs}))
    head.init_weights()
    return head
