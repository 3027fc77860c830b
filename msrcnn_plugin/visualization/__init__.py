"""Pictures of what a score knows of the mask: single masks, whole data sets, a page of both."""

from .figure import draw_class_legend, draw_masks, draw_scores, draw_scores_legend, score_figure
from .gallery import Gallery, MisjudgedMask, draw_misjudged, most_overrated, most_underrated
from .placement import label_corners
from .run_outputs import read_gallery, read_scored_images
from .score_plots import (
    APCurve,
    draw_ap_by_iou,
    draw_ap_gain,
    draw_density,
    draw_reliability,
    draw_scope_means,
)
from .scored_image import ScoredImage, largest_reversal, most_telling

__all__ = [
    'APCurve',
    'Gallery',
    'MisjudgedMask',
    'ScoredImage',
    'draw_ap_by_iou',
    'draw_ap_gain',
    'draw_class_legend',
    'draw_density',
    'draw_masks',
    'draw_misjudged',
    'draw_reliability',
    'draw_scope_means',
    'draw_scores',
    'draw_scores_legend',
    'label_corners',
    'largest_reversal',
    'most_overrated',
    'most_telling',
    'most_underrated',
    'read_gallery',
    'read_scored_images',
    'score_figure',
]
