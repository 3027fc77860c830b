"""The table that a rescorer reads: the numbers of each detection of a results file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..geometry import detection_numbers as numbers
from ..progress import progress_bar
from .coco_files import Results
from .matching import pairwise_rle_iou


def table_columns(features: Sequence[str] = ()) -> tuple[str, ...]:
    """Names the columns of `detection_table`.

    First come the numbers of a detection alone, then ``same_…`` and ``other_…``, those of its
    neighbours of the same class and of other classes, then the features and the category.
    """
    carried = (f'better_{name}' for name in ('score_logit', *features))
    neighbours = (*numbers.NEIGHBOUR_NUMBERS, *carried)
    return (
        *numbers.DETECTION_NUMBERS,
        *(f'same_{name}' for name in neighbours),
        *(f'other_{name}' for name in neighbours),
        *features,
        'category',
    )


def detection_table(results: Results, features: Sequence[str] = ()) -> NDArray[np.float64]:
    """Computes the columns of each detection, (N, F), in the order of the file.

    pycocotools compares the masks of an image whose boxes overlap. The pairs of one image are in
    memory at a time.

    Args:
        features: further keys of the results, read with them. Those of the better-scored neighbour
            are numbers of a detection, too.
    """
    entries = results.dataset['annotations']
    scores = results.scores['score']
    given = (
        np.array([results.scores[key] for key in features]).reshape(len(features), len(entries)).T
    )
    image, category = (
        np.array([entry[key] for entry in entries], dtype=np.int64)
        for key in ('image_id', 'category_id')
    )
    area = np.array([entry['area'] for entry in entries], dtype=float)
    box = np.array([entry['bbox'] for entry in entries], dtype=float).reshape(-1, 4)
    box[:, 2:] += box[:, :2]
    table = np.empty((len(entries), len(table_columns(features))))
    order = np.argsort(image, kind='stable')

    def fill(rows: NDArray) -> None:
        rles = [entries[row]['segmentation'] for row in rows]
        # As crowds: the union is then the first mask, and the ratio is what the second covers.
        covered = pairwise_rle_iou(rles, rles, np.ones(len(rles), dtype=bool))
        alone = numbers.detection_numbers(scores[rows], box[rows], area[rows], rles[0]['size'])
        pairs = numbers.pair_numbers(
            covered * area[rows, None], area[rows], scores[rows], category[rows]
        )
        carried = np.concatenate([alone[:, :1], given[rows]], axis=1)
        neighbours = [
            numbers.neighbour_numbers(pairs, carried, same_class=s) for s in (True, False)
        ]
        table[rows] = np.concatenate([alone, *neighbours, given[rows], category[rows, None]], 1)

    starts = np.flatnonzero(np.diff(image[order], prepend=-1))
    images = np.split(order, starts[1:]) if len(order) else []
    with progress_bar('Comparing detections', len(images)) as counted:
        counted_fill = counted(fill)
        for rows in images:
            counted_fill(rows)
    return table
