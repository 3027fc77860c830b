"""Segments images by watershed, as a model without training: ``watershed.py GT.json IMAGES OUT``.

A distance transform of the thresholded image is flooded from its peaks (scikit-image), once for
each of two thresholds and two smoothings. All regions stay, so most objects have several. A region
scores by its solidity times its contrast with the image's background.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as mask_utils
from scipy import ndimage
from skimage import color, feature, filters, io, measure, segmentation

SMALLEST = 12  # pixels
SMOOTHINGS = (1.0, 2.5)  # sigma in pixels, of image and distance
THRESHOLDS = (0.8, 1.1)  # times Otsu's


def regions(image: NDArray) -> Iterator[tuple[NDArray, float]]:
    """Yields masks (H, W) bool, and their scores in [0, 1]."""
    grey = color.rgb2gray(image[..., :3]) if image.ndim == 3 else image / 255
    if np.median(grey) > 0.5:  # stained tissue is dark
        grey = 1 - grey
    grey = (grey - grey.min()) / max(np.ptp(grey), 1e-6)
    for sigma in SMOOTHINGS:
        smooth = filters.gaussian(grey, sigma / 2)
        for factor in THRESHOLDS:
            inside = smooth > min(factor * filters.threshold_otsu(smooth), 0.95)
            background = smooth[~inside].mean() if not inside.all() else 0.0
            distance = filters.gaussian(ndimage.distance_transform_edt(inside), sigma)
            peaks = feature.peak_local_max(distance, min_distance=3, labels=inside.astype(int))
            markers = np.zeros(inside.shape, int)
            markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
            labels = segmentation.watershed(-distance, markers, mask=inside)
            for region in measure.regionprops(labels, smooth):
                if region.area >= SMALLEST:
                    contrast = np.clip(region.intensity_mean - background, 0, 1)
                    mask = np.zeros(inside.shape, bool)
                    mask[region.slice] = region.image
                    yield mask, float(region.solidity * contrast)


def results(annotations: Path, images: Path) -> list[dict[str, Any]]:
    """Returns COCO results of the images of an annotation file with one category."""
    truth = json.loads(annotations.read_bytes())
    category = truth['categories'][0]['id']
    found = []
    for entry in truth['images']:
        for mask, score in regions(io.imread(images / entry['file_name'])):
            rle = mask_utils.encode(np.asfortranarray(mask, np.uint8))
            found.append(
                dict(
                    image_id=entry['id'],
                    category_id=category,
                    segmentation={'size': rle['size'], 'counts': rle['counts'].decode()},
                    score=score,
                )
            )
    return found


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ('annotations', 'images', 'out'):
        parser.add_argument(name, type=Path)
    args = parser.parse_args()
    args.out.write_text(json.dumps(results(args.annotations, args.images)))
