"""The config for a user's own data: what is chosen from annotations, and the text that says so.

Lengths are in pixels, sizes are (longest, shortest) side.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..evaluation.coco_files import GroundTruth

# A config that runs as it is, beside the others of the package.
TEMPLATE = Path(__file__).parents[1] / '.mim' / 'configs' / 'own' / 'own_data_r50_fpn.py'
TEMPLATE_WORDS = '# Change the three lines below. `msrcnn init` writes such a file for your data.'
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
    text = TEMPLATE.read_text(encoding='utf-8')
    words = '\n'.join(f'# {line}' for line in choices.words)
    text = text.replace(TEMPLATE_WORDS, words)
    values = dict(
        train=train,
        val=val,
        classes=choices.classes,
        scale=choices.scale,
        anchors=f'dict(scales={list(choices.anchor_scales)}, ratios={list(choices.anchor_ratios)})',
        max_per_img=choices.max_per_img,
    )
    for name, value in values.items():
        line = f'{name} = {value}'.replace('\\', r'\\')  # of a path on Windows
        text = re.sub(rf'^{name} = .*?(?=  #|$)', line, text, flags=re.MULTILINE)
    return text
