"""Compares the files of a data set's images with its annotations, by their headers alone."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from .coco_files import GroundTruth
from .coco_schema import refuse

_ORIENTATION = 0x0112


def check_images(ground_truth: GroundTruth, folder: str | os.PathLike) -> None:
    """Checks that every image is there, and as large as the annotations say.

    mmdet and most viewers turn a JPEG as its EXIF orientation says. Annotations must then be those
    of the turned image. A turn that keeps the size (by 180 degrees, or of a square) cannot be told
    from the size and is not refused.

    Args:
        ground_truth: read with ``required=('file_name',)``.
        folder: the ``file_name`` of each image is a path below it.

    Raises:
        ValueError: names the first five images that are missing, unreadable or of another size, and
            their count.
    """
    # Evaluation without images needs no Pillow.
    from PIL import Image

    problems = []
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # only headers are read
    try:
        for image in ground_truth.dataset['images']:
            path = Path(folder) / image['file_name']
            expected = (image['width'], image['height'])
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter('ignore')  # Pillow's, about odd metadata
                    with Image.open(path) as opened:
                        stored = opened.size
                        # Of a PNG, Pillow would decode all pixels for it.
                        turn = 1
                        if opened.format in ('JPEG', 'MPO'):
                            turn = opened.getexif().get(_ORIENTATION, 1)
            except FileNotFoundError:
                problems.append(f'{path} is missing')
                continue
            except Exception as error:  # Pillow's readers raise many kinds for broken files
                problems.append(f'{path} cannot be read as an image: {error}')
                continue
            shown = stored[::-1] if turn in (5, 6, 7, 8) else stored
            if shown == expected:
                continue
            text = f'{path} is {shown[0]} x {shown[1]} pixels'
            if shown != stored:
                text += f' once its EXIF orientation {turn} is applied'
            text += f', but its annotations are those of {expected[0]} x {expected[1]}'
            if stored == expected:
                text += ': remove the EXIF orientation, or rotate the annotations'
            problems.append(text)
    finally:
        Image.MAX_IMAGE_PIXELS = limit
    refuse(f'{ground_truth.source} with the images in {folder}', problems)
