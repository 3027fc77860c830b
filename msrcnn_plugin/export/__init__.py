"""Turns a trained model into a file that runs without mmdet and torch."""

from .deployment import DeploymentModel, Detections, MaskScorer
from .supported import require_supported

__all__ = ['DeploymentModel', 'Detections', 'MaskScorer', 'require_supported']
