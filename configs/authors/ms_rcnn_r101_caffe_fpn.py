# MS R-CNN R101-FPN as the authors have it, for their checkpoints: tools/convert_checkpoint.py.
# To reach on COCO val: box AP 40.1, mask AP 37.4 (the authors' figures, with their own code).
_base_ = './ms_rcnn_r50_caffe_fpn.py'

model = dict(
    backbone=dict(depth=101, init_cfg=dict(checkpoint='open-mmlab://detectron2/resnet101_caffe'))
)
