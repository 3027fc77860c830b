# MS R-CNN, head only: detections drawn in proportion to their class scores, not to their roots.
# Expected: about the same gain; a worse calibration over all detections.
_base_ = './detections.py'

model = dict(roi_head=dict(mask_iou_sampler=dict(sampler=dict(score_power=1.0))))
