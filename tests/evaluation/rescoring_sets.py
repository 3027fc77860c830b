"""Sets of which a rescorer learns much: whole masks, their halves, and scores by chance."""

import copy

import numpy as np

from .coco_sets import data_set, rectangle

CLASSES = ('cat', 'dog')


def scattered_set(seed, images=30, first=1):
    """Each object is found whole and twice by half; each image has a false detection."""
    rng = np.random.default_rng(seed)
    annotations, results = [], []
    for image in range(first, first + images):
        for row in range(3):
            category = int(rng.integers(1, 3))
            x, y = int(rng.integers(1, 80)), 2 + 38 * row
            width, height = int(rng.integers(20, 60)), int(rng.integers(16, 34))
            annotations.append((image, category, rectangle(x, y, width, height)))
            half = width // 2
            boxes = (x, y, width, height), (x, y, half, height), (x + 1, y, half, height)
            results += [found(image, category, box, rng) for box in boxes]
        results.append(found(image, 1, (150, 2, 6, 6), rng))
    return data_set(range(first, first + images), annotations, CLASSES), results


def found(image, category, box, rng):
    return {
        'image_id': image,
        'category_id': category,
        'segmentation': rectangle(*box),
        'score': round(float(rng.random()), 3),
        'origin': {'model': 'by hand'},
    }


def with_keys(results, **values):
    """A copy of the results with further keys."""
    results = copy.deepcopy(results)
    for name, column in values.items():
        for entry, value in zip(results, column):
            entry[name] = value
    return results
