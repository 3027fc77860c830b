"""What a program calls: whole tasks in one function."""

from .scored_test import ScoredTest, run_scored_test

__all__ = ['ScoredTest', 'run_scored_test']
