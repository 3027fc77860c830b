"""What a program calls: whole tasks in one function."""

from .kept_test import KeptTest, ScoredTestError
from .scored_test import ScoredTest, run_scored_test

__all__ = ['KeptTest', 'ScoredTest', 'ScoredTestError', 'run_scored_test']
