"""Pure functions from tensors to tensors. Read these first.

Shapes: ``G`` ground truths of an image, ``R`` RoIs, ``K`` classes, ``M`` side of a mask, ``H, W``
the image.
Boxes are (x1, y1, x2, y2) in input pixels: pixel (i, j) covers [j, j + 1] x [i, i + 1].

The names below need torch and are imported when one is asked for. The module `detection_numbers`
takes arrays of numpy as well.
"""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .gather_by_label import gather_by_label
    from .image_mask_iou import mask_areas, mask_intersections, pairwise_mask_iou
    from .mask_iou import MaskIoUTarget, mask_iou_target
    from .mask_windows import MaskWindows, cut_windows, paste_windows, upload_windows
    from .polygon_coverage import polygon_coverage, polygon_shapes
    from .roi_ground_truth import RoIGroundTruth, clip_boxes, mask_coverage, masks_on_grid
    from .sampled_intersections import sampled_intersections

__all__ = [
    'MaskIoUTarget',
    'MaskWindows',
    'RoIGroundTruth',
    'clip_boxes',
    'cut_windows',
    'gather_by_label',
    'mask_areas',
    'mask_coverage',
    'mask_intersections',
    'mask_iou_target',
    'masks_on_grid',
    'pairwise_mask_iou',
    'paste_windows',
    'polygon_coverage',
    'polygon_shapes',
    'sampled_intersections',
    'upload_windows',
]
_MODULES = (
    'gather_by_label',
    'image_mask_iou',
    'mask_iou',
    'mask_windows',
    'polygon_coverage',
    'roi_ground_truth',
    'sampled_intersections',
)


def __getattr__(name: str) -> Any:
    if name == 'choose_class':
        warnings.warn('choose_class is now gather_by_label', DeprecationWarning, stacklevel=2)
        name = 'gather_by_label'
    if name not in __all__:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    # All at once: the import of a module takes the name of the function that it is named after.
    for module in _MODULES:
        content = vars(import_module(f'.{module}', __name__))
        globals().update({key: content[key] for key in __all__ if key in content})
    return globals()[name]
