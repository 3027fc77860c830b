# What makes the predicted IoU better: MaskIoU heads and recipes on the trunk that study_cpu.py of
# configs/nuclei trains, one thing changed at a time. Eight minutes a run on one core:
#     DSB2018_ROOT=FOLDER python tools/run_ablations.py configs/nuclei/study_cpu.py --only mask_rcnn
#     DSB2018_ROOT=FOLDER python tools/run_ablations.py configs/ablations/study.py \
#         --results configs/ablations/results.json
title = 'Nuclei, R18-FPN: the MaskIoU head alone, on a trained Mask R-CNN'
size = 'head alone'
compare_with = 'detections'
seeds = [0]
load_from = 'work_dirs/studies/study_cpu/mask_rcnn-{seed}/train/epoch_8.pth'
runs = dict(
    detections=dict(
        title='our recipe: replayed detections, image IoU, cross-entropy', base='detections.py'
    ),
    paper=dict(
        title="the paper's recipe: positives, RoI-grid IoU, L2",
        paper='input (a), target #1, τ = 0',
        base='paper.py',
    ),
    positives=dict(title='from positives', base='positives.py'),
    zero_targets_left_out=dict(
        title='detections of MaskIoU 0 left out', base='zero_targets_left_out.py'
    ),
    drawn_64=dict(title='64 of its own images each', base='drawn_64.py'),
    drawn_all=dict(title='all of its own images', base='drawn_all.py'),
    drawn_evenly=dict(title='drawn with the same chance', base='drawn_evenly.py'),
    drawn_by_score=dict(title='drawn by class score', base='drawn_by_score.py'),
    not_replayed=dict(title='32 of its own images each', base='not_replayed.py'),
    target_roi_grid=dict(title='detections, RoI-grid IoU', base='target_roi_grid.py'),
    cut_logit=dict(title="the paper's recipe, masks cut at logit 0.5", base='cut_logit.py'),
    tau_03=dict(title="the paper's recipe, MaskIoU > 0.3", paper='τ = 0.3', base='tau_03.py'),
    tau_05=dict(title="the paper's recipe, MaskIoU > 0.5", paper='τ = 0.5', base='tau_05.py'),
    tau_07=dict(title="the paper's recipe, MaskIoU > 0.7", paper='τ = 0.7', base='tau_07.py'),
    input_multiply=dict(title='feature times mask', paper='input (b)', base='input_multiply.py'),
    input_mask_only=dict(
        title='mask without feature', paper="authors' issue 10", base='input_mask_only.py'
    ),
    input_feature_only=dict(title='feature without mask', base='input_feature_only.py'),
    input_fine_feature=dict(
        title='feature of 28 x 28, not replayed', paper='input (d)', base='input_fine_feature.py'
    ),
    input_sub_pixel=dict(title='mask as four channels', base='input_sub_pixel.py'),
    loss_l2=dict(title='L2, linear', base='loss_l2.py'),
    loss_sigmoid_l2=dict(title='L2, sigmoid', base='loss_sigmoid_l2.py'),
    loss_smooth_l1=dict(title='smooth L1, linear', base='loss_smooth_l1.py'),
    loss_ranking=dict(title='pairwise ranking', base='loss_ranking.py'),
    loss_bce_ranking=dict(title='cross-entropy + ranking', base='loss_bce_ranking.py'),
    score_power=dict(title='score s_cls^0.25 · s_iou', base='score_power.py'),
    size_half_channels=dict(title='half the channels', base='size_half_channels.py'),
    size_two_convs=dict(title='two convolutions', base='size_two_convs.py'),
    size_depthwise=dict(title='depthwise separable convolutions', base='size_depthwise.py'),
    size_pooled=dict(title='pooled before the fully connected layers', base='size_pooled.py'),
)
