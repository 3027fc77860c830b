# MS R-CNN by our recipe on small lesions: mask_rcnn_r18_fpn.py with a mask score.
# To reach: not measured yet (docs/small_lesions.md).
_base_ = ['../ablations/demo.py', '../_base_/lesions.py']

globals().update(_base_.lesions)
