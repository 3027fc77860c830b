"""Pictures of the same masks with class score, predicted and true MaskIoU."""

from .figure import draw_class_legend, draw_masks, draw_scores, draw_scores_legend, score_figure
from .placement import label_corners
from .run_outputs import read_scored_images
from .scored_image import ScoredImage, largest_reversal, most_telling

__all__ = [
    'ScoredImage',
    'draw_class_legend',
    'draw_masks',
    'draw_scores',
    'draw_scores_legend',
    'label_corners',
    'largest_reversal',
    'most_telling',
    'read_scored_images',
    'score_figure',
]
