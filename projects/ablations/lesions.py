"""Small objects: the loss of the masks on lesions and on nuclei, and three hints.

docs/small_lesions.md says what to set first, and what it was worth.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .from_scratch import DEMO, NUCLEI_SMALL, SMALL
from .study import SHORT_FIT, Row, Study

LESIONS = 'lesions/mask_rcnn_r18_fpn.py'
LOSS = 'model.roi_head.mask_head.loss_mask'
CROSS_ENTROPY = dict(type='CrossEntropyLoss', use_sigmoid=True)
# Dice and focal as mmdet's MaskFormer has them.
DICE = dict(type='DiceLoss', naive_dice=True, eps=1.0)
FOCAL = dict(type='FocalLoss', gamma=2.0, alpha=0.25, loss_weight=20.0)


def loss(*losses: dict[str, Any]) -> dict[str, Any]:
    """The sum of the losses as the mask head's."""
    return {LOSS: dict(_delete_=True, type='SummedMaskLoss', losses=list(losses))}


def each_loss(base: str, shared: Mapping[str, Any]) -> tuple[Row, ...]:
    """A row for each loss: cross-entropy, which mmdet's mask head has, and others."""
    return (
        Row('ce', 'cross-entropy', base, shared),
        Row('dice', 'dice', base, {**shared, **loss(DICE)}),
        Row('ce_dice', 'cross-entropy + dice', base, {**shared, **loss(CROSS_ENTROPY, DICE)}),
        Row('focal_dice', 'focal + dice', base, {**shared, **loss(FOCAL, DICE)}),
    )


# mmdet's: 32 px and up on the finest level, which no lesion fills.
SCALES = {'model.rpn_head.anchor_generator.scales': [8]}
SMALL_LESIONS = Study(
    'lesions',
    'Small lesions, R18-FPN with 64 channels, 256 px: 450 steps from the weights of the demo set',
    'lesions',
    (
        *each_loss(LESIONS, {}),
        Row('anchors', "cross-entropy, mmdet's anchors of 32 px and up", LESIONS, SCALES),
        Row('large', 'cross-entropy, images of 384 px', 'lesions/mask_rcnn_r18_fpn_large.py'),
        Row(
            'balanced',
            'cross-entropy, images with a lesion twice as often',
            'lesions/mask_rcnn_r18_fpn_balanced.py',
        ),
    ),
    trunk=DEMO,  # from scratch, 450 lesions teach too little: mask AP 6
    compare_with='ce',
    measures=('free_response',),
    fit=SHORT_FIT,
)
# One trunk: all rows have the same boxes.
SMALL_NUCLEI = Study(
    'small_nuclei',
    'Losses of the mask on nuclei, small R18-FPN: the mask head alone, on one Mask R-CNN',
    'lesions',
    each_loss('ablations/mask_rcnn_r18_fpn_mask_head.py', SMALL),
    trunk=NUCLEI_SMALL,
    imports=('projects.ablations.components',),
    compare_with='ce',
    measures=('smallest',),
    fit=SHORT_FIT,
)
