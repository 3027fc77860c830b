"""What a program calls: predictions and their scores for people, whole tasks in one function."""

from .mask_scoring_inferencer import MaskScoringInferencer
from .review_queue import review_queue
from .scored_test import ScoredTest, run_scored_test

__all__ = [
    'MaskScoringInferencer',
    'ScoredTest',
    'review_queue',
    'run_scored_test',
]
