"""A synthetic batch as a model sees it: ground truth, proposals and detections of mmdet.

Shapes: B images, G objects and P positive proposals of an image.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from mmengine.structures import InstanceData, PixelData
from torch import Tensor

from .scenes import place_outline, unit_outline

NUM_CLASSES = 80
SHORT_SIDE = 480  # of COCO's own images, to which masks are pasted


class Setting(NamedTuple):
    """The size (H, W) of an image, what is in it, how many are ranked, and the device."""

    image_size: tuple[int, int] = (800, 1333)
    objects: int = 20
    positives: int = 128
    proposals: int = 1000
    detections: int = 100
    ranked_images: int = 200
    narrow: bool = False  # models, to try the benchmark out
    device: str = 'cpu'


class Scene:
    """A batch of images, and what a trained detector finds in it. Boxes are in input pixels.

    The same setting gives the same scene.
    """

    def __init__(self, setting: Setting, images: int) -> None:
        self.setting, size = setting, setting.image_size
        self.padded = tuple(-(-side // 32) * 32 for side in size)
        self.scale = min(size) / SHORT_SIDE
        rng, room = np.random.default_rng(0), np.array(size[::-1])
        # About from COCO's smallest to its largest objects, in its own images.
        extents = rng.permutation(np.geomspace(10, 500, images * setting.objects)) * self.scale
        placed = [
            place_outline(unit_outline('cell', rng), rng, e, rng.uniform(e / 2, room - e / 2))
            for e in extents.clip(max=0.95 * min(size))
        ]
        points = np.reshape(placed, (images, setting.objects, -1, 2))
        self.outlines = points.reshape(*points.shape[:2], -1)  # (B, G, 2 n): x, y, x, y, ...
        boxes = np.concatenate([points.min(2), points.max(2)], 2)
        inds = np.arange(setting.positives) % setting.objects
        # Edges move by at most 8 % of the side: the IoU stays above 0.7.
        sides = np.tile(np.ptp(points, 2), 2)[:, inds]
        positives = boxes[:, inds] + rng.uniform(-0.08, 0.08, sides.shape) * sides
        corners = np.sort(rng.uniform(0, 1, (images, setting.proposals, 2, 2)), axis=2) * room
        found = np.concatenate([positives, corners.reshape(images, -1, 4)], 1)
        put = functools.partial(torch.as_tensor, device=setting.device)
        self.boxes = put(boxes, dtype=torch.float32)  # (B, G, 4)
        self.found = put(found, dtype=torch.float32)[:, : setting.proposals].clamp(min=0)
        self.inds = put(inds)  # (P,), the object of each positive
        self.labels = put(rng.integers(0, NUM_CLASSES, setting.objects))  # (G,)

    @functools.cached_property
    def polygons(self) -> list[PolygonMasks]:
        return [PolygonMasks([[o] for o in image], *self.padded) for image in self.outlines]

    @functools.cached_property
    def bitmaps(self) -> list[BitmapMasks]:
        # Row after row, as mmdet's resizing leaves them. pycocotools draws by columns.
        arrays = (np.ascontiguousarray(masks.to_ndarray()) for masks in self.polygons)
        return [BitmapMasks(array, *self.padded) for array in arrays]

    @functools.cached_property
    def pixels(self) -> Tensor:
        """Normalised images (B, 3, H, W)."""
        return torch.randn(len(self.boxes), 3, *self.padded).to(self.boxes)

    # Heads change what they are given, so no two calls share it.

    def instances(self, kind: str = 'bitmaps') -> list[InstanceData]:
        """Returns the ground truth of each image."""
        pairs = zip(self.boxes.clone(), getattr(self, kind))
        return [InstanceData(bboxes=b, labels=self.labels, masks=masks) for b, masks in pairs]

    def data_samples(self) -> list[DetDataSample]:
        """Returns data samples as the data preprocessor leaves them."""
        size, padded, scale = self.setting.image_size, self.padded, self.scale
        original = tuple(round(side / scale) for side in size)
        metainfo = dict(img_id=0, img_shape=size, ori_shape=original, pad_shape=padded)
        metainfo.update(batch_input_shape=padded, scale_factor=(scale, scale))
        # Some hosts learn a semantic map as well.
        semantic = PixelData(sem_seg=self.labels.new_zeros(1, *padded))
        return [
            DetDataSample(
                metainfo=metainfo, gt_instances=gt, ignored_instances=gt[:0], gt_sem_seg=semantic
            )
            for gt in self.instances()
        ]

    def proposals(self) -> list[InstanceData]:
        """Returns the proposals of each image, as a trained RPN gives them, positives first."""
        return [InstanceData(bboxes=boxes) for boxes in self.found.clone()]

    def detections(self) -> list[InstanceData]:
        """Returns the detections of each image, as a trained box head gives them."""
        count = self.setting.detections
        found = dict(labels=torch.arange(count) % NUM_CLASSES, scores=torch.full((count,), 0.5))
        boxes = self.found[:, :count].clone()
        return [InstanceData(bboxes=b, **found).to(boxes.device) for b in boxes]
