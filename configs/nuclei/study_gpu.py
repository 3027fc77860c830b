# What mask scoring is worth on nuclei: the models of study_cpu.py, larger, trained longer and on
# more pixels, for a GPU, the three side by side:
#     DSB2018_ROOT=FOLDER python tools/run_ablations.py configs/nuclei/study_gpu.py --jobs 3 \
#         --results configs/nuclei/results.json
# It has not been carried out yet.
title = 'Nuclei, R50-FPN, 512 px, 40 epochs from scratch'
size = 'gpu'
seeds = [0, 1]
runs = dict(
    mask_rcnn=dict(title='Mask R-CNN', base='mask_rcnn_r50_fpn.py'),
    ms_rcnn=dict(
        title="mmdet's MS R-CNN",
        base='stock_ms_rcnn_r50_fpn.py',
        # It writes the mask score over the class score. The same weights in the plugin's head give
        # both, and the predicted IoU; boxes and masks are the same.
        test='paper_ms_rcnn_r50_fpn.py',
    ),
    plugin=dict(title='MS R-CNN, this plugin, our recipe', base='ms_rcnn_r50_fpn.py'),
)
