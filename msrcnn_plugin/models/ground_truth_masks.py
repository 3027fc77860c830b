"""mmdet's ground-truth masks that show themselves on RoI grids fast.

The host's mask head asks its ground truth for ``crop_and_resize`` of the positives; mmdet's own
answer copies the whole image once for each of them. The classes here answer from windows cut once a
step, and keep the grids for the MaskIoU target, which needs the same ones.
"""

from collections.abc import Sequence
from typing import Optional, Union

import numpy as np
import torch
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from mmengine.structures import InstanceData
from torch import Tensor

from ..geometry import (
    RoIGroundTruth,
    clip_boxes,
    cut_windows,
    mask_coverage,
    masks_on_grid,
    paste_windows,
    polygon_coverage,
    polygon_shapes,
    upload_windows,
)


class RoIMasks:
    """Part of bitmaps and polygons: they keep what the host's mask head asked for last."""

    _asked: Optional[RoIGroundTruth] = None

    def ground_truth(self, boxes: Tensor, inds: Tensor, size: tuple[int, int]) -> RoIGroundTruth:
        """Ground truth of other RoIs than the mask head's; arguments of `take_ground_truth`."""
        self._asked = None
        return self.take_ground_truth(boxes, inds, size)

    def take_ground_truth(
        self, boxes: Tensor, inds: Tensor, size: tuple[int, int]
    ) -> RoIGroundTruth:
        """Ground truth of the RoIs: what the mask head just asked for, or computed if it did not.

        Args:
            boxes: (R, 4) input pixels.
            inds: (R,) long, the masks.
            size: (height, width) of the grid.
        """
        if self._asked is None or self._asked.grid.shape != (len(boxes), *size):
            height, width = self.height, self.width
            clipped = clip_boxes(boxes.detach().cpu(), (height, width)).numpy()
            self.crop_and_resize(clipped, size, inds.cpu().numpy(), boxes.device)
        asked, self._asked = self._asked, None
        return RoIGroundTruth(*(tensor.to(boxes.device) for tensor in asked))


class RoIBitmapMasks(RoIMasks, BitmapMasks):
    """``BitmapMasks`` that are cropped from windows."""

    def __init__(self, masks: BitmapMasks) -> None:
        # The parent's constructor would copy every mask.
        self.masks, self.height, self.width = masks.masks, masks.height, masks.width
        self.windows = cut_windows(self.masks)

    def crop_and_resize(
        self, bboxes, out_shape, inds, device='cpu', interpolation='bilinear', binarize=True
    ):
        """As the parent, which indexes whole masks by ``inds`` before it crops them."""
        boxes, inds = _tensor(bboxes), _tensor(inds)
        grid = masks_on_grid(self.windows, boxes, inds, tuple(out_shape))
        self._asked = RoIGroundTruth(grid, *mask_coverage(self.windows, boxes, inds))
        return BitmapMasks((grid >= 0.5 if binarize else grid).cpu().numpy(), *out_shape)

    def to_tensor(self, dtype, device):
        """As the parent, which uploads every pixel of every mask."""
        return paste_windows(self.windows, device).to(dtype)


class RoIPolygonMasks(RoIMasks, PolygonMasks):
    """``PolygonMasks`` that keep the crops the parent draws; their coverage is the outlines'."""

    def __init__(self, masks: PolygonMasks) -> None:
        super().__init__(masks.masks, masks.height, masks.width)
        self.shapes = polygon_shapes(self.masks, (self.height, self.width))

    def crop_and_resize(
        self, bboxes, out_shape, inds, device='cpu', interpolation='bilinear', binarize=True
    ):
        """As the parent, drawn once: its answer is the bitmap of its crops."""
        crops = super().crop_and_resize(bboxes, out_shape, inds, device, interpolation, binarize)
        crops = crops.to_bitmap()
        grid = torch.from_numpy(crops.masks).to(device, torch.float32)
        coverage = polygon_coverage(self.shapes, bboxes, inds)
        self._asked = RoIGroundTruth(grid, *(tensor.to(device) for tensor in coverage))
        return crops


def prepare_masks(batch_gt_instances: Sequence[InstanceData], device: torch.device) -> None:
    """Give a batch masks that are cropped fast, in place; one transfer takes them to ``device``."""
    fresh = [gts for gts in batch_gt_instances if not isinstance(gts.masks, RoIMasks)]
    for gts in fresh:
        gts.masks = _roi_masks(gts.masks)
    bitmaps = [gts.masks for gts in fresh if isinstance(gts.masks, RoIBitmapMasks)]
    windows = upload_windows([masks.windows for masks in bitmaps], device)
    for masks, uploaded in zip(bitmaps, windows):
        masks.windows = uploaded


def _roi_masks(masks: Union[BitmapMasks, PolygonMasks]) -> RoIMasks:
    if isinstance(masks, BitmapMasks):
        return RoIBitmapMasks(masks)
    if isinstance(masks, PolygonMasks):
        return RoIPolygonMasks(masks)
    raise TypeError(
        f'The ground-truth masks are {type(masks).__name__}; BitmapMasks or PolygonMasks of mmdet '
        "are expected: load them with dict(type='LoadAnnotations', with_bbox=True, with_mask=True)."
    )


def _tensor(array: Union[np.ndarray, Tensor]) -> Tensor:
    return torch.from_numpy(array) if isinstance(array, np.ndarray) else array
