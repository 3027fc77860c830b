# What mask scoring is worth on nuclei: the models of study_cpu.py, larger, trained longer and on
# more pixels, for a GPU, the three side by side. It has not been carried out yet:
#     DSB2018_ROOT=FOLDER python tools/run_ablations.py configs/nuclei/study_gpu.py --jobs 3 \
#         --results configs/nuclei/results.json
_base_ = './study_cpu.py'

title = 'Nuclei, R50-FPN, 512 px, 40 epochs from scratch'
size = 'gpu'
runs = dict(
    mask_rcnn=dict(base='mask_rcnn_r50_fpn.py'),
    ms_rcnn=dict(base='stock_ms_rcnn_r50_fpn.py', test='paper_ms_rcnn_r50_fpn.py'),
    plugin=dict(base='ms_rcnn_r50_fpn.py'),
)
