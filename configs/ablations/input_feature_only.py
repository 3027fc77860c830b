# MS R-CNN, head only: the RoI feature without the mask, the converse of input_mask_only.py.
# Expected: most of what false detections cost, which a feature shows, and little about the outline.
_base_ = './detections.py'

model = dict(roi_head=dict(mask_iou_head=dict(type='FeatureOnlyMaskIoUHead')))
