"""Functions for programs: predictions with mask scores, a checkpoint's evaluation, a queue."""

from __future__ import annotations

import warnings
from typing import Any

from .evaluate_checkpoint import CheckpointEvaluation, evaluate_checkpoint
from .mask_scoring_inferencer import MaskScoringInferencer
from .review_queue import review_queue

__all__ = ['CheckpointEvaluation', 'MaskScoringInferencer', 'evaluate_checkpoint', 'review_queue']

# Former names, to be removed in the next version.
_RENAMED = dict(run_scored_test='evaluate_checkpoint', ScoredTest='CheckpointEvaluation')


def __getattr__(name: str) -> Any:
    if name not in _RENAMED:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    new = _RENAMED[name]
    warnings.warn(f'{__name__}.{name} is called {new} now', DeprecationWarning, stacklevel=2)
    return globals()[new]
