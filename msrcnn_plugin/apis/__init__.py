"""Predictions and their scores for people: JSON, pictures, a queue for review."""

from .mask_scoring_inferencer import MaskScoringInferencer
from .review_queue import review_queue

__all__ = ['MaskScoringInferencer', 'review_queue']
