"""Finds image files that cannot be read whole."""

from __future__ import annotations

import os
from unittest.mock import patch

from PIL import Image, UnidentifiedImageError


def image_problem(path: str | os.PathLike) -> str:
    """Says why an image cannot be read: empty, cut off, no image; empty text for a good one.

    OpenCV, which mmdet reads images with, fills the missing part of a truncated image with grey and
    reports no error. So Pillow decodes the file first.
    """
    try:
        # Large images are wanted here: no limit against decompression bombs.
        with patch.object(Image, 'MAX_IMAGE_PIXELS', None), Image.open(path) as image:
            image.load()
    except UnidentifiedImageError:
        return 'the file is no image of a known format' if os.path.getsize(path) else 'it is empty'
    except Exception as error:  # Each format of Pillow has errors of its own.
        return ' '.join(str(error).split()) or type(error).__name__
    return ''
