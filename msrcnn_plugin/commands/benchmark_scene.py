"""What the cases of the benchmark share: a scene, and models with the same weights.

The same setting gives the same scene.
Shapes: B images, G objects, P positive and N background proposals of an image.
"""

from __future__ import annotations

import copy
import functools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from mmengine.config import Config, ConfigDict
from mmengine.structures import InstanceData, PixelData
from torch import Tensor

Model = Any  # A detector of mmdet, which ships no types.

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
PROPOSALS, DETECTIONS, NUM_CLASSES = 1000, 100, 80  # the first two of an image
SHORT_SIDE = 480  # of COCO's own images, to which masks are pasted


class Setting(NamedTuple):
    """What is measured: image size (H, W), objects and positives of an image, and where."""

    image_size: tuple[int, int] = (800, 1333)
    objects: int = 20
    positives: int = 128
    ranked_images: int = 200
    narrow: bool = False  # models, to try the benchmark out
    device: str = 'cpu'


SMALL = Setting((96, 128), objects=4, positives=8, ranked_images=10, narrow=True)


class Scene:
    """A batch of images, and what a trained detector finds in it. Boxes are in input pixels."""

    def __init__(self, setting: Setting, images: int) -> None:
        self.setting, size = setting, setting.image_size
        self.padded = tuple(-(-side // 32) * 32 for side in size)
        self.scale = min(size) / SHORT_SIDE
        rng, room = np.random.default_rng(0), np.array(size[::-1])
        # About from COCO's smallest to its largest objects, in its own images.
        extents = rng.permutation(np.geomspace(10, 500, images * setting.objects)) * self.scale
        shape = (images, setting.objects, 2)
        half = extents.clip(max=0.95 * min(size)).reshape((*shape[:2], 1)) / 2
        half = half * rng.uniform(0.5, 1, shape)
        centres = rng.uniform(half, room - half)
        angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
        ellipse = np.stack([np.cos(angles), np.sin(angles)], 1)
        self.outlines = (centres[:, :, None] + half[:, :, None] * ellipse).reshape(*shape[:2], -1)
        boxes = np.concatenate([centres - half, centres + half], 2)
        inds = np.arange(setting.positives) % setting.objects
        # Edges move by at most 8 % of the side: the IoU stays above 0.7.
        shifts = rng.uniform(-0.16, 0.16, (images, setting.positives, 4))
        positives = boxes[:, inds] + shifts * np.tile(half, 2)[:, inds]
        corners = np.sort(rng.uniform(0, 1, (images, PROPOSALS, 2, 2)), axis=2) * room
        found = np.concatenate([positives, corners.reshape(images, -1, 4)], 1)[:, :PROPOSALS]
        put = functools.partial(torch.as_tensor, device=setting.device)
        self.boxes = put(boxes, dtype=torch.float32)  # (B, G, 4)
        self.found = put(found, dtype=torch.float32).clamp(min=0)  # (B, P + N, 4)
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
        torch.manual_seed(0)
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
        samples = []
        for gt in self.instances():
            sample = DetDataSample(metainfo=metainfo)
            sample.gt_instances, sample.ignored_instances = gt, gt[:0]
            # Some hosts learn a semantic map as well.
            sample.gt_sem_seg = PixelData(sem_seg=gt.labels.new_zeros(1, *padded))
            samples.append(sample)
        return samples

    def proposals(self) -> list[InstanceData]:
        """Returns the proposals of each image, as a trained RPN gives them, positives first."""
        return [InstanceData(bboxes=boxes) for boxes in self.found.clone()]

    def detections(self) -> list[InstanceData]:
        """Returns 100 detections of each image, as a trained box head gives them."""
        boxes = self.found[:, :DETECTIONS].clone()
        labels = torch.arange(DETECTIONS, device=boxes.device) % NUM_CLASSES
        scores = boxes.new_full((DETECTIONS,), 0.5)
        return [InstanceData(bboxes=b, labels=labels, scores=scores) for b in boxes]


@functools.lru_cache(2)
def models(config: str, setting: Setting, *names: str) -> dict[str, Model]:
    """Builds the model of ``configs/<config>.py`` and others of its host, with the same weights.

    Args:
        names: ``plugin``, ``ms_rcnn`` (mmdet's own) and ``stock``, which has no mask score.
    """
    cfg = Config.fromfile(CONFIGS / f'{config}.py').model
    cfg.test_cfg.rcnn.score_thr = 1.0  # NMS of an untrained head's boxes takes long.
    cfg.backbone.init_cfg = None  # Nothing is downloaded: speed does not depend on weights.
    widths = dict(conv_out_channels=256, fc_out_channels=1024)
    cfg.roi_head.mask_iou_head.update(widths)
    stages = cfg.train_cfg.rcnn
    for stage in stages if isinstance(stages, list) else [stages]:
        stage.sampler.num = round(setting.positives / stage.sampler.pos_fraction)
        stage.mask_thr_binary = 0.5  # mmdet's MaskIoUHead reads it there.
    bases = MODELS.get(cfg.roi_head.type).__mro__
    host = next(base.__name__ for base in bases if base.__module__.startswith('mmdet.'))
    head = dict(type='MaskIoUHead', num_classes=NUM_CLASSES, in_channels=256, **widths)
    built: dict[str, Model] = {}
    for name in names:
        own = copy.deepcopy(cfg)
        if name != 'plugin':
            del own.roi_head.mask_iou_head
            own.roi_head.type = host
        if name == 'ms_rcnn':
            own.roi_head.update(type='MaskScoringRoIHead', mask_iou_head=head)
        if setting.narrow and 'neck' in own:  # C4's shared head has a fixed width.
            narrow(own)
            own.backbone.update(depth=18, base_channels=16)
            own.neck.in_channels = [16, 32, 64, 128]
        torch.manual_seed(0)
        built[name] = MODELS.build(own).to(setting.device)
        built[name].init_weights()
        for other in built.values():
            built[name].load_state_dict(other.state_dict(), strict=False)
    return built


def narrow(cfg: ConfigDict) -> None:
    """Divides all numbers of channels by 16, in place, down to 16."""
    for key, value in cfg.items():
        for part in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(part, dict):
                narrow(part)
        if 'channels' in key and isinstance(value, int):
            cfg[key] = max(16, value // 16)
