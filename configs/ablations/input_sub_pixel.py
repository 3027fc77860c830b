# MS R-CNN, head only: the mask's 28 x 28 cells as four channels of 14 x 14, not max-pooled to one.
# Expected: a little better than detections.py, in its time; a thin part of a mask, and where in its
# cell the outline runs, are seen.
# Reached: gain +1.16, Pearson 0.840 (README).
_base_ = './detections.py'

model = dict(roi_head=dict(mask_iou_head=dict(type='SubPixelMaskIoUHead')))
