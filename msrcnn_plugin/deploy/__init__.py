"""Runs exported models: needs numpy, onnxruntime and OpenCV, but neither mmdet nor torch.

Example:
    >>> from msrcnn_plugin.deploy import DeployedModel
    >>> model = DeployedModel('model.onnx')
    >>> prediction = model('image.jpg')
    >>> prediction.masks[prediction.mask_scores > 0.5]
"""

from .model import DeployedModel
from .prediction import Prediction

__all__ = ['DeployedModel', 'Prediction']
