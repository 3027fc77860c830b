# MS R-CNN, head only: 64 of each image's detections, twice as many.
# Expected: hardly more gain, for more time: detections of one image resemble each other.
_base_ = './detections.py'

model = dict(roi_head=dict(mask_iou_sampler=dict(num=64)))
