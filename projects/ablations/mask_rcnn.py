"""Mask R-CNN's own ablations (He et al., 2017, table 2). `msrcnn fit` adds a mask score to each.

On the demo set the whole model is trained. On nuclei the mask head alone is, on one trunk, so all
rows have the same boxes. Nuclei have one class: a softmax over it is a sigmoid, and one mask for
all classes is its own. lesions.py has the losses of the mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .from_scratch import NUCLEI
from .study import SHORT_FIT, Row, Study

MASK_HEAD = 'model.roi_head.mask_head'
BASE = 'RoIAlign, a sigmoid for each class, FCN head, FPN, R18'


def fully_connected(width: int) -> dict[str, Any]:
    """A mask head of two hidden layers of ``width``."""
    changes = dict(type='FCMaskHead', num_convs=0, fc_out_channels=width)
    return {f'{MASK_HEAD}.{name}': value for name, value in changes.items()}


def backbone(channels: int, **changes: Any) -> dict[str, Any]:
    """Another backbone whose first stage has ``channels``."""
    inputs = [channels * 2**stage for stage in range(4)]
    return {
        'model.neck.in_channels': inputs,
        **{f'model.backbone.{name}': value for name, value in changes.items()},
    }


def both_sets(base: str, width: int, extractors: Sequence[str]) -> tuple[Row, ...]:
    """The rows that one class is enough for; ``extractors`` are changed."""

    def extractor(name: str, value: Any) -> dict[str, Any]:
        return {f'model.roi_head.{which}.{name}': value for which in extractors}

    # Features half a cell off, as RoIAlign had them at first.
    half_pixel = extractor('roi_layer.aligned', False)
    roi_pool = extractor('type', 'RoIPoolExtractor')
    return (
        Row('base', BASE, base),
        Row('half_pixel', 'RoIAlign, aligned=False', base, half_pixel),
        Row('roi_pool', 'RoIPool', base, roi_pool, 'table 2c'),
        Row('fc', 'fully connected mask head', base, fully_connected(width), 'table 2e'),
    )


SOFTMAX_LOSS = dict(type='SoftmaxMaskLoss', _delete_=True)
OF_MASKS = 'mask_roi_extractor'
ON_A_TRUNK, DEMO = 'ablations/mask_rcnn_r18_fpn_mask_head.py', 'demo/mask_rcnn_r18_fpn.py'
SHARED = dict(results='mask_rcnn', imports=('projects.ablations.components',), fit=SHORT_FIT)
MASK_RCNN_NUCLEI = Study(
    'mask_rcnn_nuclei',
    "Mask R-CNN's ablations on nuclei, R18-FPN: the mask head alone, on one Mask R-CNN",
    rows=both_sets(ON_A_TRUNK, 512, [OF_MASKS]),
    trunk=NUCLEI,
    measures=('boundary',),
    **SHARED,
)
MASK_RCNN_DEMO = Study(
    'mask_rcnn_demo',
    "Mask R-CNN's ablations on the demo set, R18-FPN with 64 channels, 450 steps from scratch",
    rows=(
        *both_sets(DEMO, 256, ['bbox_roi_extractor', OF_MASKS]),
        Row(
            'softmax',
            'softmax over the classes',
            DEMO,
            {f'{MASK_HEAD}.type': 'SoftmaxMaskHead', f'{MASK_HEAD}.loss_mask': SOFTMAX_LOSS},
            'table 2b',
        ),
        Row(
            'class_agnostic',
            'one mask for all classes',
            DEMO,
            {f'{MASK_HEAD}.class_agnostic': True},
            'section 4.2',
        ),
        Row('c4', 'C4 in place of FPN', 'ablations/mask_rcnn_r18_c4.py', paper='table 2a'),
        Row('r50', 'R50', DEMO, backbone(128, depth=50), 'table 2a'),
        Row(
            'x50',
            'ResNeXt-50-32x4d',
            DEMO,
            backbone(128, depth=50, type='ResNeXt', groups=32, base_width=4),
            'table 2a',
        ),
        Row('cascade', 'Cascade Mask R-CNN', 'ablations/cascade_mask_rcnn_r18_fpn.py'),
    ),
    measures=('boundary',),
    **SHARED,
)
