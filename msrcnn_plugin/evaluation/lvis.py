"""LVIS's rules: an image is annotated for some categories alone (Gupta et al., arXiv 1908.03195).

Of each image a file says which categories have objects, which were looked for and are not there
(``neg_category_ids``), and of which not every object is annotated
(``not_exhaustive_category_ids``). A detection of any other category is neither right nor wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .assignment import rank_in_group
from .coco_files import GroundTruth

MAX_DETS = 300  # of an image, all categories together


def is_lvis(ground_truth: GroundTruth) -> bool:
    """Tells LVIS's annotations from other COCO files."""
    return any('neg_category_ids' in image for image in ground_truth.dataset['images'])


def judged_detections(
    ground_truth: GroundTruth, detections: Sequence[Mapping[str, Any]], scores: NDArray
) -> NDArray[np.int64]:
    """Returns the places of the detections that LVIS judges, ascending.

    They are among the `MAX_DETS` of highest score in their image, and of a category that was looked
    for there.

    Args:
        scores: (n,) of the detections.
    """
    known = {
        (item['image_id'], item['category_id']) for item in ground_truth.dataset['annotations']
    }
    known |= _listed(ground_truth, 'neg_category_ids')
    is_known = [(item['image_id'], item['category_id']) in known for item in detections]
    image = np.array([item['image_id'] for item in detections], dtype=np.int64)
    is_among_best = rank_in_group(scores, image) < MAX_DETS
    return np.flatnonzero(np.array(is_known, dtype=bool) & is_among_best)


def not_exhaustive(
    ground_truth: GroundTruth, detections: Sequence[Mapping[str, Any]]
) -> NDArray[np.bool_]:
    """Tells of each detection (n,) whether objects of its category may lack an annotation."""
    listed = _listed(ground_truth, 'not_exhaustive_category_ids')
    return np.array([(d['image_id'], d['category_id']) in listed for d in detections], dtype=bool)


def frequencies(ground_truth: GroundTruth) -> tuple[str, ...]:
    """Returns how frequent each category is; nothing where one does not say so."""
    given = [category.get('frequency') for category in ground_truth.dataset['categories']]
    return () if None in given else tuple(map(str, given))


def _listed(ground_truth: GroundTruth, field: str) -> set[tuple[int, int]]:
    images = ground_truth.dataset['images']
    return {(image['id'], category) for image in images for category in image.get(field, ())}
