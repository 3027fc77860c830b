# MS R-CNN R50-FPN by our recipe on the nuclei of Data Science Bowl 2018, from scratch, at 512 px,
# for a GPU: the MaskIoU head learns from what the model detects.
# To reach: the box AP of mask_rcnn_r50_fpn.py, and a mask score that gains more than the paper's
# recipe does. How much is not measured yet.
_base_ = ['./paper_ms_rcnn_r50_fpn.py', '../_base_/learn_from_detections.py']

model = dict(roi_head={{_base_.learn_from_detections}})
