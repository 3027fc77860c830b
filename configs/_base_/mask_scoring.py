# What turns a Mask R-CNN of mmdet into an MS R-CNN. A leaf config merges it into its model:
#     model = dict(roi_head={{_base_.mask_scoring}})
# The second lets `--launcher pytorch` run on a machine without a GPU.
custom_imports = dict(
    imports=['msrcnn_plugin', 'msrcnn_plugin.cpu_launcher'], allow_failed_imports=False
)

mask_scoring = dict(
    type='MSRoIHead',
    mask_iou_head=dict(
        type='MSMaskIoUHead',
        num_convs=4,  # 3 x 3, the last one stride 2 (paper, section 3.2)
        num_fcs=2,  # before the one that predicts
        # L2 with weight 1 as the authors write it, 0.5 (p - t)^2.
        loss_iou=dict(type='MSELoss', loss_weight=0.5),
    ),
)
