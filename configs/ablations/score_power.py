# MS R-CNN, head only: s_cls^0.25 · s_iou ranks the masks, not the product. The exponent is what
# tools/score_exponent.py chooses on the training images (of plugin-0 in nuclei/study_cpu.py).
# Expected: a little better than detections.py, for the predicted IoU knows false detections, too.
# Reached: gain +1.35, Pearson 0.832 (README).
_base_ = './detections.py'

model = dict(roi_head=dict(type='MSScorePowerRoIHead', score_power=0.25))
