# MS R-CNN, head only: 64 of each image's detections, drawn in proportion to their class scores.
# Expected: more gain than drawn.py, as AP depends on the order of those that rank high; a worse
# calibration over all detections.
_base_ = './drawn.py'

model = dict(roi_head=dict(mask_iou_sampler=dict(score_power=1.0)))
