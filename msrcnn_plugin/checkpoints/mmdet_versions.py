"""mmdet's own checkpoints. From 2.0 to 3.x no name of a two-stage model changed."""

from __future__ import annotations

from collections.abc import Collection

from .rules import Format, Rule


def _is_mmdet(names: Collection[str]) -> bool:
    return any(name.startswith('roi_head.bbox_head.') for name in names)


MMDET = Format(
    name='mmdet 2.x or 3.x',
    recognise=_is_mmdet,
    classifier=r'roi_head\.bbox_head(?:\.\d)?\.fc_cls\.weight',  # a cascade numbers its stages
    rules=(
        # mmcv's hook swaps the two before it saves: the average has the ordinary names.
        Rule(r'ema_.*', None, "the EMA hook's copy from before averaging"),
        Rule(r'.*', r'\g<0>'),
    ),
)
