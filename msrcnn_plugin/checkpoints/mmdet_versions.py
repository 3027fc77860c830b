"""mmdet's own checkpoints. From 2.0 to 3.x no name of a two-stage model changed; 1.x had others.

1.x counted the background as class 0, in the MaskIoU head too (mmdet's own upgrade script leaves
that one as it is, and an upgraded MS R-CNN then fails to load), and had its heads at the top of the
model.
"""

from __future__ import annotations

from collections.abc import Collection

from .rules import Format, Rule, background_last, without_background

# A cascade numbers the heads of its stages.
_STAGE = r'(?:\.\d)?'


def _is_mmdet(names: Collection[str]) -> bool:
    return any(name.startswith('roi_head.bbox_head.') for name in names)


def _is_mmdet_1(names: Collection[str]) -> bool:
    parts = {name.split('.')[0] for name in names}
    return {'bbox_head', 'rpn_head'} <= parts


MMDET = Format(
    name='mmdet 2.x or 3.x',
    recognise=_is_mmdet,
    classifier=rf'roi_head\.bbox_head{_STAGE}\.fc_cls\.weight',
    rules=(
        # mmcv's hook swaps the two before it saves: the average has the ordinary names.
        Rule(r'ema_.*', None, "the EMA hook's copy from before averaging"),
        Rule(r'.*', r'\g<0>'),
    ),
)

MMDET_1 = Format(
    name='mmdet 1.x',
    recognise=_is_mmdet_1,
    classifier=rf'bbox_head{_STAGE}\.fc_cls\.weight',
    rules=(
        Rule(
            rf'bbox_head{_STAGE}\.fc_cls\..*', r'roi_head.\g<0>', 'background last', background_last
        ),
        Rule(
            rf'bbox_head{_STAGE}\.fc_reg\..*',
            r'roi_head.\g<0>',
            'without background',
            without_background(4),
        ),
        Rule(
            rf'mask_head{_STAGE}\.conv_logits\..*',
            r'roi_head.\g<0>',
            'without background',
            without_background(1),
        ),
        Rule(
            r'mask_iou_head\.fc_mask_iou\..*',
            r'roi_head.\g<0>',
            'without background',
            without_background(1),
        ),
        Rule(r'(?:bbox|mask|mask_iou|semantic|shared)_head\..*', r'roi_head.\g<0>'),
        Rule(r'(?:backbone|neck|rpn_head)\..*', r'\g<0>'),
    ),
    remarks=(
        'not mapped: 1.x rounded anchors, counted the last pixel of a box, did not align RoIs',
        "mmdet's configs/legacy_1.x have these parts",
    ),
)
