# Mask R-CNN on small lesions, a synthetic set: the demo's small model, for two CPU cores.
# To reach: mask AP 16.4; 23.0 with what msrcnn fit adds (docs/small_lesions.md).
#
# LESIONS_ROOT names the folder of the data, which tools/make_demo_data.py --lesions writes. The
# weights start from those of the demo set, which `make demo` trains:
#     LESIONS_ROOT=FOLDER mim train mmdet configs/lesions/mask_rcnn_r18_fpn.py \
#         --cfg-options load_from=work_dirs/demo/mask_rcnn.pth
_base_ = ['../demo/mask_rcnn_r18_fpn.py', '../_base_/lesions.py']

globals().update(_base_.lesions)
