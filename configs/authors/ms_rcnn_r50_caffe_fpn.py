# MS R-CNN R50-FPN as the authors have it, for their checkpoints: tools/convert_checkpoint.py.
# To reach on COCO val: box AP 37.9, mask AP 35.6 (the authors' figures, with their own code).
_base_ = ['mmdet::mask_rcnn/mask-rcnn_r50-caffe_fpn_1x_coco.py', '../_base_/mask_scoring.py']

roi_layer = dict(sampling_ratio=2, aligned=False)
model = dict(
    data_preprocessor=dict(mean=[102.9801, 115.9465, 122.7717]),
    rpn_head=dict(anchor_generator=dict(type='DetectronAnchorGenerator', center_offset=0.5)),
    roi_head={
        **_base_.mask_scoring,
        'bbox_roi_extractor': dict(roi_layer=roi_layer),
        'mask_roi_extractor': dict(roi_layer=roi_layer),
    },
)
visualizer = dict(type='MaskScoringVisualizer')
