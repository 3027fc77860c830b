# MS R-CNN by our recipe on the nuclei of Data Science Bowl 2018, from scratch, for the CPU: the
# MaskIoU head learns from what the model detects. The data as in mask_rcnn_r18_fpn.py.
# To reach: the box AP of mask_rcnn_r18_fpn.py, and a mask score that gains more than the paper's
# recipe does. How much is not measured yet; study_cpu.py does it.
_base_ = ['./paper_ms_rcnn_r18_fpn.py', '../_base_/learn_from_detections.py']

model = dict(roi_head={{_base_.learn_from_detections}})
