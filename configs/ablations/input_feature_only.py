# MS R-CNN, head only: the RoI feature without the mask, the converse of input_mask_only.py.
# Expected: most of what false detections cost, which a feature shows, and little about the outline.
# Reached: gain +1.14, Pearson 0.827 (README).
_base_ = './detections.py'

model = dict(roi_head=dict(mask_iou_head=dict(type='FeatureOnlyMaskIoUHead')))
