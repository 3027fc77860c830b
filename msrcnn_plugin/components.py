"""Registers everything with mmdet when it is imported; a broken host is reported first."""

from . import checked_host, checkpoints, hooks, models  # noqa: F401
from .evaluation import mask_scoring_metric  # noqa: F401
from .visualization import mask_scoring_visualizer  # noqa: F401
