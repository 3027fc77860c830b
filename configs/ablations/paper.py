# MS R-CNN R18-FPN on nuclei by the paper's recipe, the MaskIoU head alone as in detections.py. It
# learns from the mask head's positives, by L2, their IoU on the RoI grid. Zero targets are left
# out.
# To reach: mask AP 41.3, 0.18 above the class score; Pearson 0.586 (docs/results/ablations.md).
_base_ = './detections.py'

model = dict(
    roi_head=dict(
        mask_iou_sampler=None,
        mask_iou_head=dict(
            count_zero_targets=False,
            loss_iou=dict(_delete_=True, type='MSELoss', loss_weight=0.5),
        ),
    )
)
