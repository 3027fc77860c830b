"""Mask scores for a trained model: `fit`."""

from .fit_scores import Fit, fit

__all__ = ['Fit', 'fit']
