# MS R-CNN, head only: our samples, a loss of their order alone. What is predicted is no IoU any
# more, and its calibration error says nothing.
# Expected: the best correlation of ranks; what it is worth in a product with the class score is
# open.
# Reached: gain +1.19, Pearson 0.816 (README).
_base_ = './detections.py'

loss = dict(_delete_=True, type='PairwiseRankingLoss', min_difference=0.05)
model = dict(roi_head=dict(mask_iou_head=dict(loss_iou=loss)))
