# MS R-CNN by our recipe on the nuclei of Data Science Bowl 2018, from scratch, for the CPU: the
# MaskIoU head learns from what the model detects. The data as in mask_rcnn_r18_fpn.py.
# To reach: box AP 37.8, mask AP 40.6 by class score and 41.9 by mask score (mean of two
# seeds, docs/results/nuclei.md).
_base_ = ['./paper_ms_rcnn_r18_fpn.py', '../_base_/learn_from_detections.py']

# 64 detections a step, and 128 to learn from: on a CPU each costs as much as a positive.
detections = dict(type='DetectionSampler', num=16, score_power=0.5)
replayed = dict(type='ReplaySampler', sampler=detections, steps=16, samples=128)
model = dict(roi_head={**_base_.learn_from_detections, 'mask_iou_sampler': replayed})
