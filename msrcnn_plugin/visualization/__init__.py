"""Pictures of what a score knows of the mask: single masks, whole data sets, a page of both.

Every name is imported when it is asked for: `MaskScoringVisualizer` needs mmdet, the rest
matplotlib.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_MODULES = {
    'figure': ('draw_class_legend', 'draw_masks', 'draw_scores', 'draw_scores_legend',
               'score_figure'),
    'gallery': ('Gallery', 'MisjudgedMask', 'draw_misjudged', 'most_overrated', 'most_underrated'),
    'mask_scoring_visualizer': ('MaskScoringVisualizer',),
    'placement': ('label_corners',),
    'run_outputs': ('read_gallery', 'read_scored_images'),
    'score_plots': ('APCurve', 'draw_ap_by_iou', 'draw_ap_gain', 'draw_density',
                    'draw_reliability', 'draw_scope_means'),
    'scored_image': ('ScoredImage', 'most_improved'),
}  # fmt: skip
_HOMES = {name: module for module, names in _MODULES.items() for name in names}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(f'.{_HOMES[name]}', __name__), name)
