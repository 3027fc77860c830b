# What mask scoring is worth on nuclei: plain Mask R-CNN, mmdet's own MS R-CNN and this plugin's,
# with the same trunk, recipe, data and seeds, at the size of the CPU. A training
# takes 40 minutes to an hour on one core:
#     DSB2018_ROOT=FOLDER python tools/run_ablations.py configs/nuclei/study_cpu.py \
#         --results configs/nuclei/results.json
title = 'Nuclei, R18-FPN with 96 channels, 320 px, 8 epochs from scratch'
size = 'cpu'
seeds = [0, 1]
runs = dict(
    mask_rcnn=dict(title='Mask R-CNN', base='mask_rcnn_r18_fpn.py'),
    ms_rcnn=dict(
        title="mmdet's MS R-CNN",
        base='stock_ms_rcnn_r18_fpn.py',
        # It writes the mask score over the class score. The same weights in the plugin's head give
        # both, and the predicted IoU; boxes and masks are the same.
        test='paper_ms_rcnn_r18_fpn.py',
    ),
    plugin=dict(title='MS R-CNN, this plugin, our recipe', base='ms_rcnn_r18_fpn.py'),
)
