"""The runs of the project as one table of changes to a few base configs.

A study is a group of rows that are compared with each other. A row names a base config and what it
changes there, as ``--cfg-options`` would. docs/results/ has the figures and what they say. Studies
of another subject have a file of their own.
"""

from __future__ import annotations

from typing import Any

from .from_scratch import DEMO, NUCLEI, NUCLEI_GPU
from .lesions import SMALL_LESIONS, SMALL_NUCLEI
from .mask_rcnn import MASK_RCNN_DEMO, MASK_RCNN_NUCLEI
from .study import Row, Study

# --- the MaskIoU head alone, on the trunk of the nuclei study ---

OURS, PAPER = 'ablations/detections.py', 'ablations/paper.py'
HEAD, LOSS = 'model.roi_head.mask_iou_head', 'model.roi_head.mask_iou_head.loss_iou'
SAMPLER = 'model.roi_head.mask_iou_sampler'
L2 = dict(type='MSELoss', loss_weight=0.5)
CROSS_ENTROPY = dict(
    type='CrossEntropyLoss', use_sigmoid=True, avg_non_ignore=True, loss_weight=1.0
)
RANKING = dict(type='PairwiseRankingLoss', min_difference=0.05)


def loss(**replacement: Any) -> dict[str, Any]:
    return {LOSS: dict(replacement, _delete_=True)}


def drawn(num: int | None, score_power: float = 0.5) -> dict[str, Any]:
    """Each step learns from its own images' detections alone, ``num`` of each image."""
    sampler = dict(type='DetectionSampler', num=num, score_power=score_power)
    return {SAMPLER: dict(sampler, _delete_=True)}


def above(tau: float) -> Row:
    """The paper's recipe on positives of a MaskIoU above τ. The paper finds τ = 0 best."""
    name, title = f'tau_{10 * tau:02.0f}', f"the paper's recipe, MaskIoU > {tau}"
    changes = loss(type='AboveIoULoss', min_iou=tau, loss=L2)
    return Row(name, title, PAPER, changes, f'τ = {tau}')


HEAD_ALONE = Study(
    'ablations',
    'Nuclei, R18-FPN: the MaskIoU head alone, on a trained Mask R-CNN',
    'ablations',
    (
        Row('detections', 'our recipe: replayed detections, image IoU, cross-entropy', OURS),
        # Hardly a gain: this head has never seen a false detection and scores it as a good one.
        Row(
            'paper',
            "the paper's recipe: positives, RoI-grid IoU, L2",
            PAPER,
            paper='input (a), target #1, τ = 0',
        ),
        # What the samples are worth by themselves: most of the difference to the paper.
        Row('positives', 'from positives', OURS, {SAMPLER: None}),
        # Detections of one image resemble each other: the replay mixes those of many images.
        Row('drawn_64', '64 of its own images each', OURS, drawn(64)),
        Row('drawn_all', 'all of its own images', OURS, drawn(None, score_power=0.0)),
        Row('not_replayed', '32 of its own images each', OURS, drawn(32)),
        # The paper's target for our samples: no difference that the interval can tell.
        Row(
            'target_roi_grid',
            'detections, RoI-grid IoU',
            OURS,
            {f'{SAMPLER}.sampler.type': 'RoIGridSampler'},
        ),
        # As mmdet's head cuts them. Masks are emitted at probability 0.5; logit 0.5 is 0.62.
        Row(
            'cut_logit',
            "the paper's recipe, masks cut at logit 0.5",
            PAPER,
            {f'{HEAD}.type': 'LogitCutMaskIoUHead'},
        ),
        above(0.3),
        above(0.5),
        above(0.7),
        # To be compared with not_replayed: the replay keeps features of one size.
        Row(
            'input_fine_feature',
            'feature of 28 x 28, not replayed',
            OURS,
            {**drawn(32), 'model.roi_head.type': 'MSFineFeatureRoIHead'},
            'input (d)',
        ),
    ),
    trunk=NUCLEI,
    compare_with='detections',
    imports=('projects.ablations.components',),
)

# --- the MaskIoU head alone, on the detections that a fit has kept: cached_heads.py trains it ---

CACHED_HEADS = Study(
    'cached_heads',
    'Nuclei, R18-FPN: the MaskIoU head alone, on kept detections of a trained Mask R-CNN',
    'cached_heads',
    (
        Row('detections', 'our recipe: detections, image IoU, cross-entropy', OURS),
        Row(
            'zero_targets_left_out',
            'detections of MaskIoU 0 left out',
            OURS,
            {f'{HEAD}.count_zero_targets': False},
        ),
        # AP depends on the order of the detections that rank high.
        Row(
            'drawn_evenly',
            'drawn with the same chance',
            OURS,
            {f'{SAMPLER}.sampler.score_power': 0.0},
        ),
        Row(
            'drawn_by_score', 'drawn by class score', OURS, {f'{SAMPLER}.sampler.score_power': 1.0}
        ),
        Row(
            'input_multiply',
            'feature times mask',
            OURS,
            {f'{HEAD}.type': 'MultipliedMaskIoUHead'},
            'input (b)',
        ),
        # The authors' issue 10: 28.2 mask AP on COCO val (R18-FPN), 29.3 with the feature.
        Row(
            'input_mask_only',
            'mask without feature',
            OURS,
            {f'{HEAD}.type': 'MaskOnlyMaskIoUHead'},
            "authors' issue 10",
        ),
        Row(
            'input_feature_only',
            'feature without mask',
            OURS,
            {f'{HEAD}.type': 'FeatureOnlyMaskIoUHead'},
        ),
        # Not max-pooled: the 28 x 28 cells become four channels of 14 x 14.
        Row(
            'input_sub_pixel',
            'mask as four channels',
            OURS,
            {f'{HEAD}.type': 'SubPixelMaskIoUHead'},
        ),
        Row('loss_l2', 'L2, linear', OURS, loss(**L2)),
        Row('loss_sigmoid_l2', 'L2, sigmoid', OURS, loss(type='SigmoidMSELoss', loss_weight=0.5)),
        # Bent at an error of 0.1. At mmdet's 1.0 it would be L2: no error of an IoU is larger.
        Row(
            'loss_smooth_l1',
            'smooth L1, linear',
            OURS,
            loss(type='SmoothL1Loss', beta=0.1, loss_weight=0.5),
        ),
        # Learns an order and no IoU: its calibration error is large.
        Row('loss_ranking', 'pairwise ranking', OURS, loss(**RANKING)),
        Row(
            'loss_bce_ranking',
            'cross-entropy + ranking',
            OURS,
            loss(type='SummedLoss', losses=[CROSS_ENTROPY, RANKING]),
        ),
        Row(
            'size_half_channels',
            'half the channels',
            OURS,
            {f'{HEAD}.conv_out_channels': 48, f'{HEAD}.fc_out_channels': 128},
        ),
        Row('size_two_convs', 'two convolutions', OURS, {f'{HEAD}.num_convs': 2}),
        Row(
            'size_depthwise',
            'depthwise separable convolutions',
            OURS,
            {f'{HEAD}.type': 'DepthwiseMaskIoUHead'},
        ),
        # The mean over the 7 x 7 cells replaces the layer that holds 3/4 of the head's weights.
        Row(
            'size_pooled',
            'pooled before the fully connected layers',
            OURS,
            {f'{HEAD}.type': 'PooledMaskIoUHead'},
        ),
    ),
    imports=('projects.ablations.components',),
)

# --- the classes that the head learns for: nuclei have one, so on the demo set ---

CLASSES = 'ablations/classes.py'


def all_classes(sampler: str) -> dict[str, Any]:
    return {f'{SAMPLER}.sampler.type': sampler, f'{HEAD}.type': 'AllClassesMaskIoUHead'}


CLASSES_OF_TARGETS = Study(
    'classes',
    'Demo set, R18-FPN: the MaskIoU head alone, on a trained Mask R-CNN',
    'ablations',
    (
        Row('classes_target', 'target class', CLASSES, paper='input (a), target #1'),
        # The IoU with the objects of every class, 0 for absent ones. Much worse in the paper, too.
        Row('classes_all', 'all classes', CLASSES, all_classes('AllClassesSampler'), 'target #2'),
        # Only classes whose objects the mask touches.
        Row(
            'classes_present',
            'classes present',
            CLASSES,
            all_classes('PresentClassesSampler'),
            'target #3',
        ),
        # The masks are part of the RoI feature; the head cannot see which of them it scores.
        Row(
            'classes_all_masks',
            'masks of all classes as input',
            CLASSES,
            {
                'model.roi_head.type': 'MSAllMasksRoIHead',
                f'{HEAD}.type': 'FeatureOnlyMaskIoUHead',
            },
            'input (c)',
        ),
    ),
    trunk=DEMO,
    compare_with='classes_target',
    imports=('projects.ablations.components',),
)

# --- the gradient into the mask head: the whole model goes on learning ---

WHOLE = 'ablations/whole_model.py'

WHOLE_MODEL = Study(
    'whole_model',
    "Nuclei, R18-FPN: the whole model by the paper's recipe, on a trained Mask R-CNN",
    'ablations',
    (
        Row('mask_gradient', 'gradient through the mask', WHOLE),
        Row('detached_mask', 'mask detached', WHOLE, {f'{HEAD}.detach_mask': True}),
    ),
    trunk=NUCLEI,
)

STUDIES = {
    study.name: study
    for study in (
        *(NUCLEI, NUCLEI_GPU, HEAD_ALONE, CLASSES_OF_TARGETS, WHOLE_MODEL),
        *(MASK_RCNN_NUCLEI, MASK_RCNN_DEMO, SMALL_LESIONS, SMALL_NUCLEI),
    )
}
