"""Pictures of masks with their scores: mmdet's own, and figures with the true MaskIoU."""

from .figure import draw_class_legend, draw_masks, draw_scores, draw_scores_legend, score_figure
from .mask_scoring_visualizer import MaskScoringVisualizer
from .placement import label_corners
from .run_outputs import read_scored_images
from .scored_image import ScoredImage, largest_reversal, most_telling

__all__ = [
    'MaskScoringVisualizer',
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
