"""Draws synthetic instance segmentation sets, for the demo, the benchmark and the tests."""

from .scenes import CLASSES, DESCRIPTION, place_outline, rasterise, unit_outline, write_set

__all__ = [
    'CLASSES',
    'DESCRIPTION',
    'place_outline',
    'rasterise',
    'unit_outline',
    'write_set',
]
