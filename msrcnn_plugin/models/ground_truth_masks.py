"""Ground-truth masks of mmdet with fast RoI cropping.

The host's mask head asks its ground truth for ``crop_and_resize`` of the positives. mmdet's own
answer copies the whole image once for each of them. The classes here crop from windows that are cut
once a step. They remember the last grid, since the MaskIoU target needs the same one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

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

Size = tuple[int, int]
Device = str | torch.device


class _LastGrid(NamedTuple):
    """A grid (R, height, width) in [0, 1] and what was asked for it: boxes (R, 4), masks (R,)."""

    boxes: np.ndarray
    inds: np.ndarray
    grid: Tensor

    def answers(self, boxes: np.ndarray, inds: np.ndarray, size: Size) -> bool:
        return (
            tuple(self.grid.shape[1:]) == size
            and np.array_equal(self.boxes, boxes)
            and np.array_equal(self.inds, inds)
        )


class RoIMasks:
    """Adds the ground truth of RoIs to mmdet's masks."""

    height: int
    width: int
    _last: _LastGrid | None = None

    def ground_truth(self, boxes: Tensor, inds: Tensor, size: Size) -> RoIGroundTruth:
        """Computes the ground truth of RoIs.

        The grid is not computed again where the host's mask head has just asked for the same one.

        Args:
            boxes: (R, 4) input pixels.
            inds: (R,) long, the mask of each RoI.
            size: (height, width) of the grid.
        """
        clipped = clip_boxes(boxes.detach().cpu(), (self.height, self.width)).numpy()
        masks = inds.cpu().numpy()
        parts = self._grid(clipped, masks, size, boxes.device), *self._coverage(clipped, masks)
        return RoIGroundTruth(*(tensor.to(boxes.device) for tensor in parts))

    def crop_and_resize(
        self,
        bboxes: np.ndarray,
        out_shape: Size,
        inds: np.ndarray,
        device: Device = 'cpu',
        interpolation: str = 'bilinear',
        binarize: bool = True,
    ) -> BitmapMasks:
        """Does what the method of mmdet's masks does."""
        height, width = out_shape
        grid = self._grid(np.asarray(bboxes), np.asarray(inds), (height, width), device)
        return BitmapMasks((grid >= 0.5 if binarize else grid).cpu().numpy(), *out_shape)

    def _grid(self, boxes: np.ndarray, inds: np.ndarray, size: Size, device: Device) -> Tensor:
        if self._last is None or not self._last.answers(boxes, inds, size):
            grid = self._crop(boxes, inds, size, device)
            # Copies: on the CPU the host's arrays share their memory with its boxes.
            self._last = _LastGrid(boxes.copy(), inds.copy(), grid)
        return self._last.grid

    def _crop(self, boxes: np.ndarray, inds: np.ndarray, size: Size, device: Device) -> Tensor:
        raise NotImplementedError

    def _coverage(self, boxes: np.ndarray, inds: np.ndarray) -> tuple[Tensor, Tensor]:
        raise NotImplementedError


class RoIBitmapMasks(RoIMasks, BitmapMasks):
    """``BitmapMasks`` that are cropped from windows."""

    def __init__(self, masks: BitmapMasks) -> None:
        # The parent's constructor would copy every mask.
        self.masks, self.height, self.width = masks.masks, masks.height, masks.width
        self.windows = cut_windows(self.masks)

    def to_tensor(self, dtype: torch.dtype, device: Device) -> Tensor:
        """Does what the parent does, which uploads every pixel of every mask."""
        return paste_windows(self.windows, device).to(dtype)

    def _crop(self, boxes: np.ndarray, inds: np.ndarray, size: Size, device: Device) -> Tensor:
        return masks_on_grid(self.windows, torch.from_numpy(boxes), torch.from_numpy(inds), size)

    def _coverage(self, boxes: np.ndarray, inds: np.ndarray) -> tuple[Tensor, Tensor]:
        return mask_coverage(self.windows, torch.from_numpy(boxes), torch.from_numpy(inds))


class RoIPolygonMasks(RoIMasks, PolygonMasks):
    """``PolygonMasks`` whose coverage is computed from their outlines."""

    def __init__(self, masks: PolygonMasks) -> None:
        super().__init__(masks.masks, masks.height, masks.width)
        self.shapes = polygon_shapes(self.masks, (self.height, self.width))

    def _crop(self, boxes: np.ndarray, inds: np.ndarray, size: Size, device: Device) -> Tensor:
        crops = PolygonMasks.crop_and_resize(self, boxes, size, inds).to_bitmap()
        return torch.from_numpy(crops.masks).to(device, torch.float32)

    def _coverage(self, boxes: np.ndarray, inds: np.ndarray) -> tuple[Tensor, Tensor]:
        return polygon_coverage(self.shapes, boxes, inds)


def prepare_masks(batch_gt_instances: Sequence[InstanceData], device: torch.device) -> None:
    """Gives a batch masks that are cropped fast, in place; one transfer takes them to ``device``.

    Raises:
        TypeError: if masks are neither bitmaps nor polygons of mmdet.
    """
    fresh = [gts for gts in batch_gt_instances if not isinstance(gts.masks, RoIMasks)]
    for gts in fresh:
        gts.masks = _roi_masks(gts.masks)
    bitmaps = [gts.masks for gts in fresh if isinstance(gts.masks, RoIBitmapMasks)]
    windows = upload_windows([masks.windows for masks in bitmaps], device)
    for masks, uploaded in zip(bitmaps, windows):
        masks.windows = uploaded


def _roi_masks(masks: BitmapMasks | PolygonMasks) -> RoIMasks:
    if isinstance(masks, BitmapMasks):
        return RoIBitmapMasks(masks)
    if isinstance(masks, PolygonMasks):
        return RoIPolygonMasks(masks)
    raise TypeError(
        f'The ground-truth masks are {type(masks).__name__}; BitmapMasks or PolygonMasks of mmdet '
        "are expected: load them with dict(type='LoadAnnotations', with_bbox=True, with_mask=True)."
    )
