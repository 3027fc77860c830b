"""Draws synthetic instance segmentation sets, for the demo, the benchmark and the tests."""

from .lesions import LESIONS
from .scenes import CLASSES, DESCRIPTION, OBJECTS, place_outline, rasterise, unit_outline, write_set

__all__ = [
    'CLASSES',
    'DESCRIPTION',
    'LESIONS',
    'OBJECTS',
    'place_outline',
    'rasterise',
    'unit_outline',
    'write_set',
]
