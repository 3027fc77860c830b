# MS R-CNN, head only: the mask without the RoI feature.
# The authors' issue 10 (R18-FPN): 28.2 mask AP on COCO val, where mask and feature have 29.3.
# Expected: a part of the gain; a blurred mask is a poor one, but a false one may be sharp.
# Reached: gain +0.53, Pearson 0.757 (README).
_base_ = './detections.py'

model = dict(roi_head=dict(mask_iou_head=dict(type='MaskOnlyMaskIoUHead')))
