# What the gradient of the MaskIoU head's loss does to the mask head: the whole model goes on
# learning, on the trunk that study_cpu.py of configs/nuclei trains. A quarter of an hour a training
# on one core:
#     DSB2018_ROOT=FOLDER python tools/run_ablations.py configs/nuclei/study_cpu.py --only mask_rcnn
#     DSB2018_ROOT=FOLDER python tools/run_ablations.py configs/ablations/study_whole.py \
#         --results configs/ablations/results.json
title = "Nuclei, R18-FPN: the whole model by the paper's recipe, on a trained Mask R-CNN"
size = 'whole model'
seeds = [0]
load_from = 'work_dirs/studies/study_cpu/mask_rcnn-{seed}/train/epoch_8.pth'
runs = dict(
    mask_gradient=dict(title='gradient through the mask', base='mask_gradient.py'),
    detached_mask=dict(title='mask detached', base='detached_mask.py'),
)
