# MS R-CNN on the demo set, head only: the masks of all classes as input, not of the target class.
# The paper's input (c) (R18-FPN): a gain there, less than by (a), the mask of the target class.
# Expected: a little worse than classes_target.py; which of the masks is scored is not to be seen.
# Reached: gain +1.87, Pearson 0.661 (README).
_base_ = './classes_target.py'

model = dict(
    roi_head=dict(
        type='MSAllMasksRoIHead',
        mask_iou_head=dict(type='FeatureOnlyMaskIoUHead'),  # the masks are part of the feature
    )
)
