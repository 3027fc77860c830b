# MS R-CNN, head only: learned again from what was detected in the last 16 steps, 256 a step, as
# detections of one image resemble each other.
# Expected: more gain and a better correlation for the same steps.
_base_ = './detections.py'

sampler = dict(type='ReplaySampler', steps=16, samples=256)
model = dict(roi_head=dict(mask_iou_sampler=sampler))
