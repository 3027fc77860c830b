"""What the cases of the benchmark share: models, and a scene such as a detector meets on COCO.

The same setting gives the same scene.
Shapes: B images, G objects, P positive and N background proposals of an image.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import bbox_overlaps
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from mmengine.config import Config, ConfigDict
from mmengine.structures import InstanceData, PixelData
from pycocotools import mask as rle_tools
from torch import Tensor

from ..synthetic import CLASSES, place_outline, unit_outline

Model = Any  # A detector of mmdet, which ships no types.

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
NUM_CLASSES = 80
PROPOSALS, DETECTIONS = 1000, 100  # of an image
SHORT_SIDE = 480  # of COCO's own images, to which masks are pasted


@dataclass(frozen=True)
class Setting:
    """What is measured: image size (H, W), objects and positives of an image, and where."""

    image_size: tuple[int, int] = (800, 1333)
    objects: int = 20
    positives: int = 128
    ranked_images: int = 200
    small: bool = False
    device: str = 'cpu'


SMALL = Setting(image_size=(96, 128), objects=4, positives=6, ranked_images=10, small=True)


class SceneImage(NamedTuple):
    """An image without pixels. Boxes are in input pixels."""

    polygons: list[list[np.ndarray]]  # of each object one outline, x, y, x, y, ...
    boxes: Tensor  # (G, 4)
    labels: Tensor  # (G,)
    positives: Tensor  # (P, 4), their IoU with their object above 0.5
    positive_inds: Tensor  # (P,), the object of each
    background: Tensor  # (N, 4), their IoU with each object below 0.5


class Scene:
    """A batch of images, and what a model is given of it, made anew for each call."""

    def __init__(self, setting: Setting, images: int) -> None:
        rng = np.random.default_rng(0)
        self.setting = setting
        height, width = setting.image_size
        self.padded_size = (math.ceil(height / 32) * 32, math.ceil(width / 32) * 32)
        # About from COCO's smallest to its largest objects, in its own images.
        scale = min(height, width) / SHORT_SIDE
        extents = rng.permutation(np.geomspace(10, 500, images * setting.objects)) * scale
        self.images = [self._image(row, rng) for row in extents.reshape(images, -1)]

    def _image(self, extents: np.ndarray, rng: np.random.Generator) -> SceneImage:
        height, width = self.setting.image_size
        room = np.array([width, height], float)
        outlines = []
        for extent in extents:
            shape = unit_outline(str(rng.choice(CLASSES)), rng)
            outline = place_outline(shape, rng, min(extent, 0.95 * room.min()), np.zeros(2))
            outline += rng.uniform(-outline.min(0), room - outline.max(0))
            outlines.append(outline.astype(np.float32))
        boxes = torch.from_numpy(np.stack([[*o.min(0), *o.max(0)] for o in outlines]))
        around = boxes[torch.arange(self.setting.positives) % len(boxes)]
        # Edges move by at most 8 % of the side: the IoU stays above 0.7.
        sides = (around[:, 2:] - around[:, :2]).repeat(1, 2)
        positives = around + sides * torch.from_numpy(rng.uniform(-0.08, 0.08, around.shape))
        corners = np.sort(rng.uniform(0, 1, (3 * PROPOSALS, 2, 2)), axis=1) * room
        background = torch.from_numpy(corners.reshape(-1, 4)).float()
        background = background[bbox_overlaps(background, boxes).amax(1) < 0.5]
        labels = torch.from_numpy(rng.integers(0, NUM_CLASSES, len(boxes)))
        positives = positives.float().clamp(min=0).minimum(boxes.new_tensor([width, height] * 2))
        inds = bbox_overlaps(positives, boxes).argmax(1)
        background = background[: max(0, PROPOSALS - len(positives))]
        tensors = (boxes, labels, positives, inds, background)
        polygons = [[outline.flatten()] for outline in outlines]
        return SceneImage(polygons, *(tensor.to(self.setting.device) for tensor in tensors))

    @cached_property
    def _bitmaps(self) -> list[np.ndarray]:
        # Row after row, as mmdet's resizing leaves them. pycocotools draws by columns.
        return [
            np.ascontiguousarray(PolygonMasks(image.polygons, *self.padded_size).to_ndarray())
            for image in self.images
        ]

    def pixels(self) -> Tensor:
        """Returns normalised images (B, 3, H, W)."""
        return self.noise(3, *self.padded_size)

    def noise(self, *shape: int) -> Tensor:
        """Returns the same normal numbers (B, *shape) at each call."""
        generator = torch.Generator().manual_seed(0)
        numbers = torch.randn(len(self.images), *shape, generator=generator)
        return numbers.to(self.setting.device)

    def instances(self, kind: str = 'bitmaps') -> list[InstanceData]:
        """Returns the ground truth of each image. Heads change it, so no two calls share one."""
        if kind == 'polygons':
            masks = [PolygonMasks(image.polygons, *self.padded_size) for image in self.images]
        else:
            masks = [BitmapMasks(bitmaps, *self.padded_size) for bitmaps in self._bitmaps]
        return [
            InstanceData(bboxes=image.boxes.clone(), labels=image.labels.clone(), masks=m)
            for image, m in zip(self.images, masks)
        ]

    def data_samples(self) -> list[DetDataSample]:
        """Returns data samples as the data preprocessor leaves them."""
        size = self.setting.image_size
        scale = min(size) / SHORT_SIDE
        metainfo = dict(
            img_id=0,
            img_shape=size,
            ori_shape=tuple(round(side / scale) for side in size),
            scale_factor=(scale, scale),
            pad_shape=self.padded_size,
            batch_input_shape=self.padded_size,
        )
        samples = []
        for gt in self.instances():
            sample = DetDataSample(metainfo=metainfo)
            sample.gt_instances = gt
            sample.ignored_instances = InstanceData(bboxes=gt.bboxes[:0], labels=gt.labels[:0])
            # Some hosts learn a semantic map as well.
            sample.gt_sem_seg = PixelData(sem_seg=gt.labels.new_zeros(1, *self.padded_size))
            samples.append(sample)
        return samples

    def proposals(self) -> list[InstanceData]:
        """Returns the proposals of each image, as a trained RPN gives them, positives first."""
        boxes = [torch.cat([image.positives, image.background]) for image in self.images]
        return [InstanceData(bboxes=b) for b in boxes]

    def detections(self) -> list[InstanceData]:
        """Returns 100 detections of each image, as a trained box head gives them."""
        found = [proposals[:DETECTIONS] for proposals in self.proposals()]
        for instances in found:
            instances.labels = torch.arange(len(instances), device=instances.bboxes.device)
            instances.labels %= NUM_CLASSES
            instances.scores = instances.bboxes.new_full((len(instances),), 0.5)
        return found


def detected_scene(scene: Scene) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Returns a scene as COCO ground truth, and predictions as `CocoMetric.process` takes them.

    Each object is detected about three times, in a shifted place; the rest of the 100 detections
    of an image are objects of the image before.
    """
    rng = np.random.default_rng(0)
    size = scene.setting.image_size
    annotations: list[dict[str, Any]] = []
    predictions = []
    for number, image in enumerate(scene.images):
        rles = [rle_tools.frPyObjects(polygon, *size)[0] for polygon in image.polygons]
        for rle, label in zip(rles, image.labels.tolist()):
            annotation = dict(id=len(annotations) + 1, image_id=number, category_id=label)
            shown = dict(rle, counts=rle['counts'].decode())
            area, box = float(rle_tools.area(rle)), rle_tools.toBbox(rle).tolist()
            annotations.append(dict(annotation, segmentation=shown, area=area, bbox=box, iscrowd=0))
        others = scene.images[number - 1]
        sources = [*range(len(rles))] * 3
        masks, labels = [], []
        for place in range(DETECTIONS):
            source = image if place < len(sources) else others
            chosen = place % len(source.polygons)
            polygon = source.polygons[chosen][0] + rng.normal(0, 3)
            masks.append(rle_tools.frPyObjects([polygon.astype(float).tolist()], *size)[0])
            labels.append(int(source.labels[chosen]))
        scores, mask_ious = torch.rand(
            2, DETECTIONS, generator=torch.Generator().manual_seed(number)
        )
        instances = dict(
            bboxes=torch.zeros(DETECTIONS, 4),
            labels=torch.tensor(labels),
            scores=scores,
            mask_ious=mask_ious,
            mask_scores=scores * mask_ious,
            masks=masks,
        )
        predictions.append(dict(img_id=number, ori_shape=size, pred_instances=instances))
    images = [dict(id=n, height=size[0], width=size[1]) for n in range(len(scene.images))]
    categories = [dict(id=n, name=str(n)) for n in range(NUM_CLASSES)]
    return dict(info={}, images=images, categories=categories, annotations=annotations), predictions


# --- models


def models(
    config: str, setting: Setting, names: tuple[str, ...] = ('stock', 'plugin')
) -> dict[str, Model]:
    """Builds the model of ``configs/<config>.py`` and others of its host, with the same weights."""
    cfg = Config.fromfile(CONFIGS / f'{config}.py').model
    cfg.backbone.init_cfg = None  # Nothing is downloaded: speed does not depend on weights.
    widths = dict(conv_out_channels=256, fc_out_channels=1024)
    cfg.roi_head.mask_iou_head.update(widths)
    rcnn = cfg.train_cfg.rcnn
    for stage in rcnn if isinstance(rcnn, list) else [rcnn]:
        stage.sampler.num = round(setting.positives / stage.sampler.pos_fraction)
        stage.mask_thr_binary = 0.5  # mmdet's MaskIoUHead reads it there.
    ancestors = MODELS.get(cfg.roi_head.type).__mro__
    host = next(cls.__name__ for cls in ancestors if cls.__module__.startswith('mmdet.'))
    built: dict[str, Model] = {}
    for name in names:
        own = copy.deepcopy(cfg)
        if name == 'ms_rcnn':
            own.roi_head.type = 'MaskScoringRoIHead'
            own.roi_head.mask_iou_head = dict(
                type='MaskIoUHead', num_classes=NUM_CLASSES, in_channels=256, **widths
            )
        elif name != 'plugin':
            own.roi_head.type = host
            del own.roi_head.mask_iou_head
        if setting.small and 'neck' in own:  # C4's shared head has a fixed width.
            narrow(own)
            own.backbone.update(depth=18, base_channels=16)
            own.neck.in_channels = [16, 32, 64, 128]
        torch.manual_seed(0)
        built[name] = MODELS.build(own).to(setting.device)
        built[name].init_weights()
        built[name].load_state_dict(built[names[0]].state_dict(), strict=False)
    if 'ms_rcnn' in built:
        built['plugin'].load_state_dict(built['ms_rcnn'].state_dict())
    return built


def narrow(cfg: ConfigDict) -> None:
    """Divides all numbers of channels by 16, in place, down to 16."""
    for key, value in cfg.items():
        for part in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(part, dict):
                narrow(part)
        if 'channels' in key and isinstance(value, int):
            cfg[key] = max(16, value // 16)
