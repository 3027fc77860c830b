# MS R-CNN, head only: 16 of each image's detections, a quarter.
# Expected: less gain, for less time.
_base_ = './detections.py'

model = dict(roi_head=dict(mask_iou_sampler=dict(num=16)))
