# Cascade Mask R-CNN R18-FPN on the synthetic set of `make demo`, from scratch. Its three stages
# leave other duplicates than one. The data as in demo/mask_rcnn_r18_fpn.py.
# To reach: box AP 27.7, mask AP 27.4 by class score and 32.1 by a mask score of msrcnn fit
# (docs/results/mask_rcnn.md).
_base_ = '../demo/mask_rcnn_r18_fpn.py'

STAGES = ((0.5, 0.1, 0.2), (0.6, 0.05, 0.1), (0.7, 0.033, 0.067))  # IoU; stds of centre and size
one = _base_.model.roi_head
bbox_heads, rcnn = [], []
for iou, centre, size in STAGES:
    coder = dict(type='DeltaXYWHBBoxCoder', target_stds=[centre, centre, size, size])
    bbox_heads.append(dict(one.bbox_head, bbox_coder=coder))
    assigner = dict(
        type='MaxIoUAssigner', pos_iou_thr=iou, neg_iou_thr=iou, min_pos_iou=iou, ignore_iof_thr=-1
    )
    rcnn.append(dict(_base_.model.train_cfg.rcnn, assigner=assigner))
model = dict(
    type='CascadeRCNN',
    roi_head=dict(
        _delete_=True,
        type='CascadeRoIHead',
        num_stages=len(STAGES),
        stage_loss_weights=[1, 0.5, 0.25],
        bbox_roi_extractor=one.bbox_roi_extractor,
        bbox_head=bbox_heads,
        mask_roi_extractor=one.mask_roi_extractor,
        mask_head=one.mask_head,
    ),
    train_cfg=dict(rcnn=rcnn),
)
