"""The config for a user's own data: what is chosen from annotations, and the text that says so.

Lengths are in pixels, sizes are (longest, shortest) side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from string import Template

import numpy as np
from numpy.typing import NDArray

from ..evaluation.coco_files import GroundTruth

LARGEST_IMAGE = (1333, 800)  # mmdet's: no image is shown larger
SMALLEST_OBJECT = 16.0  # smaller ones are enlarged, where the image allows it
STRIDES = (4, 64)  # of the finest and the coarsest level; an anchor has scale x stride
DEFAULT_RATIOS = (0.5, 1.0, 2.0)
DETECTIONS = 100  # of an image, as COCO counts them


@dataclass(frozen=True)
class Choices:
    """What the annotations decide; ``words`` tells the user of each choice."""

    classes: tuple[str, ...]
    scale: tuple[int, int]  # the size that images are resized to
    anchor_scales: tuple[int, ...]
    anchor_ratios: tuple[float, ...]  # height / width
    max_per_img: int
    words: tuple[str, ...]


def choose(truth: GroundTruth, classes: Sequence[str]) -> Choices:
    """Chooses from the annotations that a model is trained on.

    Args:
        truth: with an object that is no crowd.
        classes: the categories' names in the file's order.

    Raises:
        ValueError: there is no object to learn from.
    """
    boxes = np.array(
        [a['bbox'][2:] for a in truth.dataset['annotations'] if not a['iscrowd']], dtype=float
    ).reshape(-1, 2)
    boxes = boxes[(boxes > 0).all(axis=1)]
    if not len(boxes):
        raise ValueError(
            f'{truth.source} holds no object with an area: annotate some, or give the file that '
            'the model shall learn from'
        )
    sides = np.array([sorted((i['height'], i['width'])) for i in truth.dataset['images']])
    short, long = np.median(sides, axis=0)
    extents = np.sqrt(boxes.prod(axis=1))
    small, typical, large = np.quantile(extents, (0.1, 0.5, 0.9))
    room = min(LARGEST_IMAGE[0] / long, LARGEST_IMAGE[1] / short)
    zoom = min(room, max(1.0, SMALLEST_OBJECT / small))
    scale = (round(long * zoom), round(short * zoom))
    anchors = _anchor_scales(small * zoom, large * zoom)
    ratios = _anchor_ratios(boxes[:, 1] / boxes[:, 0])
    most = int(np.bincount([a['image_id'] for a in truth.dataset['annotations']]).max())
    max_per_img = max(DETECTIONS, 100 * math.ceil(1.5 * most / 100))
    reach = f'{anchors[0] * STRIDES[0]} to {anchors[-1] * STRIDES[1]} px'
    return Choices(
        tuple(classes),
        scale,
        anchors,
        ratios,
        max_per_img,
        (
            f'{len(truth.dataset["images"])} images, {len(boxes)} objects, {len(classes)} classes.',
            f'Images of {long:.0f} x {short:.0f} px (median) are shown at {scale[0]} x {scale[1]}.',
            f'Boxes of {small:.0f}, {typical:.0f}, {large:.0f} px (10, 50, 90 %): anchors {reach}.',
            f'Height / width of the anchors: {", ".join(map(str, ratios))}.',
            f'An image has up to {most} objects: {max_per_img} detections are kept.',
        ),
    )


def _anchor_scales(small: float, large: float) -> tuple[int, ...]:
    """Chooses scales whose anchors begin at small boxes and, five levels later, reach large ones.

    An anchor serves boxes up to 1.4 times its side, of half its area or twice it.
    """
    scales = [int(np.clip(round(small / STRIDES[0]), 1, 8))]
    while scales[-1] * STRIDES[1] * math.sqrt(2) < large:
        scales.append(2 * scales[-1])
    return tuple(scales)


def _anchor_ratios(ratios: NDArray[np.float64]) -> tuple[float, ...]:
    """Keeps mmdet's ratios, unless the boxes' own reach further."""
    low, high = np.quantile(ratios, (0.1, 0.9))
    if low >= DEFAULT_RATIOS[0] / math.sqrt(2) and high <= DEFAULT_RATIOS[-1] * math.sqrt(2):
        return DEFAULT_RATIOS
    found = {min(low, 0.5), 1.0, max(high, 2.0)}
    return tuple(sorted(round(float(ratio), 2) for ratio in found))


def render(choices: Choices, train: tuple[str, str], val: tuple[str, str]) -> str:
    """Writes the config.

    Args:
        train: annotation file and folder of images to learn from.
        val: those to test on.
    """
    return _TEXT.substitute(
        words='\n'.join(f'# {line}' for line in choices.words),
        train=train,
        val=val,
        classes=choices.classes,
        scale=choices.scale,
        anchor_scales=list(choices.anchor_scales),
        anchor_ratios=list(choices.anchor_ratios),
        max_per_img=choices.max_per_img,
    )


_TEXT = Template("""\
# MS R-CNN R50-FPN on data of your own in COCO format, by our recipe, from mmdet's weights of COCO.
$words
# To reach: that depends on your data. The test prints mask AP by class score and by mask score.
_base_ = 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py'
custom_imports = dict(imports=['msrcnn_plugin'], allow_failed_imports=False)

# Annotations and images to learn from and to test on, and the classes in the file's order.
train = $train
val = $val
classes = $classes

loss = dict(type='CrossEntropyLoss', use_sigmoid=True, avg_non_ignore=True)
head = dict(type='MSMaskIoUHead', count_zero_targets=True, loss_iou=loss)
detections = dict(type='DetectionSampler', num=32, score_power=0.5)
sampler = dict(type='ReplaySampler', sampler=detections)
model = dict(
    rpn_head=dict(anchor_generator=dict(scales=$anchor_scales, ratios=$anchor_ratios)),
    roi_head=dict(
        type='MSRoIHead',
        bbox_head=dict(num_classes=len(classes)),
        mask_head=dict(num_classes=len(classes)),
        mask_iou_head=head,
        mask_iou_sampler=sampler,
    ),
    test_cfg=dict(rcnn=dict(max_per_img=$max_per_img)),
)
weights = 'https://download.openmmlab.com/mmdetection/v2.0/mask_rcnn/mask_rcnn_r50_fpn_1x_coco/'
load_from = weights + 'mask_rcnn_r50_fpn_1x_coco_20200205-d4b0c5d6.pth'

scale = $scale  # longest and shortest side
load, annotate, _, flip, pack = _base_.train_pipeline
train_pipeline = [load, annotate, dict(type='Resize', scale=scale, keep_ratio=True), flip, pack]
load, _, *others = _base_.test_pipeline
test_pipeline = [load, dict(type='Resize', scale=scale, keep_ratio=True), *others]

common = dict(data_root='', metainfo=dict(classes=classes))
train_dataloader = dict(
    dataset=dict(
        ann_file=train[0],
        data_prefix=dict(img=train[1]),
        filter_cfg=dict(filter_empty_gt=False),  # empty images teach what is no object
        pipeline=train_pipeline,
        **common,
    )
)
val_dataloader = dict(
    dataset=dict(ann_file=val[0], data_prefix=dict(img=val[1]), pipeline=test_pipeline, **common)
)
test_dataloader = val_dataloader
val_evaluator = dict(type='MaskScoringMetric', ann_file=val[0])
test_evaluator = val_evaluator
visualizer = dict(type='MaskScoringVisualizer')
# The rate is mmdet's for 16 images a step; fewer lower it.
auto_scale_lr = dict(enable=True)
""")
