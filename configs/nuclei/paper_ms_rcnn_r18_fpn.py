# MS R-CNN by the paper's recipe on the nuclei of Data Science Bowl 2018, from scratch, for the CPU:
# what ms_rcnn_r18_fpn.py, our recipe, is compared with. The data as in mask_rcnn_r18_fpn.py.
# To reach: box AP 38.6, mask AP 41.4 by class score and 41.6 by mask score (one run).
_base_ = './mask_rcnn_r18_fpn.py'

narrow = dict(conv_out_channels=_base_.width, fc_out_channels=256)
mask_scoring = dict(mask_iou_head=narrow)
model = dict(
    roi_head={
        **_base_.mask_scoring,
        'mask_iou_head': {**_base_.mask_scoring.mask_iou_head, **narrow},
    }
)
visualizer = dict(type='MaskScoringVisualizer')
