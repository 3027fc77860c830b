# What the gradient of the MaskIoU head's loss does to the mask head: trainings of the whole model,
# about three quarters of an hour each on one core, on nuclei:
#     DSB2018_ROOT=FOLDER python tools/run_ablations.py configs/ablations/study_whole.py
title = "Nuclei, R18-FPN by the paper's recipe, trained whole"
seeds = [0, 1]
runs = dict(
    mask_gradient=dict(
        title='gradient through the mask', base='../nuclei/paper_ms_rcnn_r18_fpn.py'
    ),
    detached_mask=dict(title='mask detached', base='detached_mask.py'),
)
