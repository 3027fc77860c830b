"""Ground truth and proposals such as a detector meets them when it is trained on COCO.

Object sizes follow COCO's, outlines are irregular and have concavities, and some objects are in two
parts. Proposals are those of a trained RPN: ground-truth boxes, jittered, and background. The same
arguments give the same scene.

Shapes: `G` objects, `P` positives, `B` background boxes of an image of `H` x `W` pixels.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import bbox_overlaps
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from mmengine.structures import InstanceData
from torch import Tensor

NUM_CLASSES = 80
# COCO's shares of small, medium and large objects, bounded by area in COCO's own images, whose
# short side is mostly 480. Within a class the logarithm of the area is uniform.
SHARES = (0.0, 0.41, 0.75, 1.0)
AREAS = (8**2, 32**2, 96**2, 384**2)
SHORT_SIDE = 480
TWO_PARTS_EVERY = 8
JITTER = 0.1  # of a proposal's edges, standard deviation in box sides
MIN_IOU = 0.52  # the assigner wants 0.5; what lies closer is left to no rounding
MAX_BACKGROUND_IOU = 0.5
SIZE_DIVISOR = 32


@dataclass(frozen=True, eq=False)
class SceneImage:
    """An image without its pixels.

    Attributes:
        polygons: of each object a list of (2 n,) arrays x, y, x, y, ...
        bitmaps: (G, H, W) uint8, the same objects; H, W padded as the image is.
        boxes: (G, 4) input pixels.
        labels: (G,) long.
        positives: (P, 4) proposals, their IoU with their object above 0.5.
        positive_inds: (P,) long, the object of each.
        background: (B, 4) proposals, their IoU with every object below 0.5.
    """

    polygons: list
    bitmaps: np.ndarray
    boxes: Tensor
    labels: Tensor
    positives: Tensor
    positive_inds: Tensor
    background: Tensor


@dataclass(frozen=True, eq=False)
class Scene:
    """A batch of images of one size; ``padded_size`` is what the network sees."""

    image_size: tuple
    padded_size: tuple
    images: tuple


def make_scene(image_size, objects, positives, images=2, proposals=1000, seed=0):
    """``images`` images (H, W) with ``objects`` objects each, and ``proposals`` proposals each, of
    which ``positives`` are positive (at least; there may be more positives than proposals).
    """
    rng = np.random.default_rng(seed)
    padded_size = tuple(math.ceil(side / SIZE_DIVISOR) * SIZE_DIVISOR for side in image_size)
    areas = object_areas(images * objects, image_size, rng).reshape(images, objects)
    background = max(0, proposals - positives)
    return Scene(
        image_size,
        padded_size,
        tuple(
            make_image(image_size, padded_size, row, positives, background, rng) for row in areas
        ),
    )


def make_image(image_size, padded_size, areas, positives, background, rng):
    """An image with one object for each of ``areas``."""
    polygons = [
        place(outline(area, 1 + (i % TWO_PARTS_EVERY == 1), rng), image_size, rng)
        for i, area in enumerate(areas)
    ]
    boxes = torch.from_numpy(np.stack([bounding_box(parts) for parts in polygons]))
    proposals, inds = jittered(boxes, positives, image_size, rng)
    return SceneImage(
        polygons=polygons,
        # Row after row, as mmdet's resizing leaves them; pycocotools draws column after column.
        bitmaps=np.ascontiguousarray(PolygonMasks(polygons, *padded_size).to_ndarray(), np.uint8),
        boxes=boxes,
        labels=torch.from_numpy(rng.integers(0, NUM_CLASSES, len(areas))),
        positives=proposals,
        positive_inds=inds,
        background=background_boxes(boxes, background, image_size, rng),
    )


# --- objects -------------------------------------------------------------------------------------


def object_areas(count, image_size, rng):
    """(count,) areas in pixels of the image, spread evenly over COCO's distribution.

    Even quantiles instead of draws: a few objects already have the shares of all of COCO.
    """
    quantiles = (rng.permutation(count) + 0.5) / count
    scale = min(image_size) / SHORT_SIDE
    return np.exp(np.interp(quantiles, SHARES, np.log(AREAS))) * scale**2


def outline(area, parts, rng):
    """Polygons (n, 2) around anywhere, ``area`` together, side by side where there are two."""
    polygons, right = [], 0.0
    for _ in range(parts):
        polygon = blob(area / parts, rng)
        polygon[:, 0] += right - polygon[:, 0].min()
        right = polygon[:, 0].max() + 0.1 * math.sqrt(area)
        polygons.append(polygon)
    return polygons


def blob(area, rng):
    """An irregular closed curve (n, 2) of ``area``, stretched and turned, with concavities."""
    # COCO's annotators set a corner every few pixels; a large object gets some 80.
    corners = int(np.clip(math.sqrt(area) / 2, 12, 80))
    angle = np.arange(corners) * (2 * math.pi / corners)
    waves = np.arange(2, 7)
    phase = rng.uniform(0, 2 * math.pi, len(waves))
    height = rng.normal(0, 0.4, len(waves)) / np.sqrt(waves)
    radius = 1 + (height[:, None] * np.cos(waves[:, None] * angle + phase[:, None])).sum(0)
    points = np.stack([np.cos(angle), np.sin(angle)], 1) * radius.clip(0.3)[:, None]
    points[:, 0] *= math.exp(rng.normal(0, 0.35))
    turn = rng.uniform(0, 2 * math.pi)
    points = points @ np.array(
        [[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]]
    )
    return points * math.sqrt(area / polygon_area(points))


def polygon_area(points):
    """Of a simple polygon (n, 2)."""
    following = np.roll(points, -1, 0)
    return abs((points[:, 0] * following[:, 1] - points[:, 1] * following[:, 0]).sum()) / 2


def place(parts, image_size, rng):
    """Move the polygons to a random place inside the image, smaller where they are larger than it;
    as mmdet writes them.
    """
    points = np.concatenate(parts)
    room = np.array(image_size[::-1], dtype=float)
    low, extent = points.min(0), np.ptp(points, 0)
    shrink = min(1.0, (0.98 * room / extent).min())
    corner = rng.uniform(0, room - extent * shrink)
    return [((part - low) * shrink + corner).astype(np.float32).flatten() for part in parts]


def bounding_box(parts):
    """(4,) float32 of an object's polygons."""
    points = np.concatenate(parts).reshape(-1, 2)
    return np.concatenate([points.min(0), points.max(0)])


# --- proposals -----------------------------------------------------------------------------------


def jittered(boxes, count, image_size, rng):
    """Proposals (count, 4) around the boxes in turn, and the box (count,) that each fits best."""
    source = torch.arange(count) % len(boxes)
    around = boxes[source]
    sides = (around[:, 2:] - around[:, :2]).repeat(1, 2)
    shift = torch.from_numpy(rng.normal(0, JITTER, (count, 4)).astype(np.float32))
    while True:
        proposals = clipped(around + shift * sides, image_size)
        poor = bbox_overlaps(proposals, around, is_aligned=True) < MIN_IOU
        if not poor.any():
            return proposals, bbox_overlaps(proposals, boxes).argmax(1)
        shift[poor] *= 0.8


def background_boxes(boxes, count, image_size, rng):
    """Boxes (count, 4) anywhere, of any size an anchor has, that fit no object."""
    found = boxes.new_zeros(0, 4)
    while len(found) < count:
        found = torch.cat([found, _unfit_boxes(boxes, count, image_size, rng)])
    return found[:count]


def _unfit_boxes(boxes, tries, image_size, rng):
    """What is background of ``tries`` random boxes."""
    room = np.array(image_size[::-1], dtype=float)
    side = np.exp(rng.uniform(math.log(16), math.log(512), (tries, 1)))
    stretch = np.exp(rng.uniform(-0.35, 0.35, (tries, 1)))
    extent = np.concatenate([side * stretch, side / stretch], 1)
    centre = rng.uniform(0, room, (tries, 2))
    corners = np.concatenate([centre - extent / 2, centre + extent / 2], 1)
    random = clipped(torch.from_numpy(corners.astype(np.float32)), image_size)
    return random[bbox_overlaps(random, boxes).amax(1) < MAX_BACKGROUND_IOU]


def clipped(boxes, image_size):
    """``boxes`` (n, 4) cut at the border of the image (H, W)."""
    height, width = image_size
    return boxes.clamp(min=0).minimum(boxes.new_tensor([width, height, width, height]))


# --- as mmdet wants it ---------------------------------------------------------------------------


def instances(scene, device, kind='bitmaps'):
    """Fresh ground truth of each image; heads change it, so no two calls may share one."""
    return [
        InstanceData(
            bboxes=image.boxes.to(device),
            labels=image.labels.to(device),
            masks=_masks(image, scene.padded_size, kind),
        )
        for image in scene.images
    ]


def _masks(image, padded_size, kind):
    if kind == 'polygons':
        return PolygonMasks(image.polygons, *padded_size)
    return BitmapMasks(image.bitmaps, *padded_size)


def data_samples(scene, device):
    """Fresh data samples, as the data preprocessor leaves them."""
    scale = min(scene.image_size) / SHORT_SIDE
    metainfo = dict(
        img_id=0,
        img_shape=scene.image_size,
        ori_shape=tuple(round(side / scale) for side in scene.image_size),
        scale_factor=(scale, scale),
        pad_shape=scene.padded_size,
        batch_input_shape=scene.padded_size,
    )
    samples = []
    for gt_instances in instances(scene, device):
        sample = DetDataSample(metainfo=metainfo)
        sample.gt_instances = gt_instances
        sample.ignored_instances = InstanceData(
            bboxes=torch.zeros(0, 4, device=device), labels=torch.zeros(0, device=device).long()
        )
        samples.append(sample)
    return samples


def proposals(scene, device):
    """Fresh proposals of each image, as the RPN hands them on."""
    return [
        InstanceData(bboxes=torch.cat([image.positives, image.background]).to(device))
        for image in scene.images
    ]
