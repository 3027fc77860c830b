# MS R-CNN, head only: the mask as it is, 28 x 28, beside an RoI feature of that size.
# The paper's input (d) (R18-FPN): a gain there, less than by (a), the mask pooled to 14 x 14.
# Expected: no better than not_replayed.py, which it is to be compared with, in four times the
# head's time.
# Reached: gain +0.83, Pearson 0.831 (README).
_base_ = './not_replayed.py'

model = dict(roi_head=dict(type='MSFineFeatureRoIHead'))
