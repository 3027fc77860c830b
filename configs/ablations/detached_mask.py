# MS R-CNN R18-FPN on nuclei as mask_gradient.py, the whole model: the MaskIoU head's loss sends no
# gradient into the mask head. Where the head learns from detections there is none either.
# Expected: no difference beyond chance.
# Reached: gain -0.34, Pearson 0.539 (README).
_base_ = './mask_gradient.py'

model = dict(roi_head=dict(mask_iou_head=dict(detach_mask=True)))
