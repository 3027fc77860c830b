"""Pure functions from tensors to tensors. Read these first.

Shapes: ``G`` ground truths of an image, ``R`` RoIs, ``K`` classes, ``M`` side of a mask, ``H, W``
the image.
Boxes are (x1, y1, x2, y2) in input pixels: pixel (i, j) covers [j, j + 1] x [i, i + 1].
"""

import warnings

from .gather_by_label import gather_by_label
from .image_mask_iou import mask_areas, mask_intersections, pairwise_mask_iou
from .mask_iou import MaskIoUTarget, mask_iou_target
from .mask_windows import MaskWindows, cut_windows, paste_windows, upload_windows
from .polygon_coverage import polygon_coverage, polygon_shapes
from .roi_ground_truth import RoIGroundTruth, clip_boxes, mask_coverage, masks_on_grid

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
    'upload_windows',
]


def __getattr__(name: str) -> object:
    if name == 'choose_class':
        warnings.warn('choose_class is now gather_by_label', DeprecationWarning, stacklevel=2)
        return gather_by_label
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
