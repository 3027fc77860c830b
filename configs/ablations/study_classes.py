# For which classes the MaskIoU head learns, and whose masks it sees, on the demo set of four:
#     python tools/make_demo_data.py work_dirs/demo/data
#     mim train mmdet configs/demo/mask_rcnn_r18_fpn.py --work-dir work_dirs/demo/trunk
#     python tools/run_ablations.py configs/ablations/study_classes.py \
#         --results configs/ablations/results.json
title = 'Demo set, R18-FPN: the MaskIoU head alone, on a trained Mask R-CNN'
size = 'head alone, demo set'
compare_with = 'classes_target'
seeds = [0]
load_from = 'work_dirs/demo/trunk/iter_450.pth'
runs = dict(
    classes_target=dict(
        title='target class', paper='input (a), target #1', base='classes_target.py'
    ),
    classes_all=dict(title='all classes', paper='target #2', base='classes_all.py'),
    classes_present=dict(title='classes present', paper='target #3', base='classes_present.py'),
    classes_all_masks=dict(
        title='masks of all classes as input', paper='input (c)', base='classes_all_masks.py'
    ),
)
