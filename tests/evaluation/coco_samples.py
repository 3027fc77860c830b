"""A small COCO set with results, for tests of files."""

import copy

import numpy as np
from pycocotools import mask as mask_utils

SIZE = (30, 40)
SQUARE = [[2.0, 2.0, 12.0, 2.0, 12.0, 12.0, 2.0, 12.0]]


def small_truth():
    """Two images and two objects, the second an RLE."""
    mask = np.zeros(SIZE, np.uint8, order='F')
    mask[5:25, 10:30] = 1
    rle = mask_utils.encode(mask)
    return {
        'images': [
            {'id': 1, 'height': 30, 'width': 40, 'file_name': 'a.jpg'},
            {'id': 2, 'height': 30, 'width': 40, 'file_name': 'b.jpg'},
        ],
        'categories': [{'id': 1, 'name': 'cat'}, {'id': 2, 'name': 'dog'}],
        'annotations': [
            {
                'id': 1,
                'image_id': 1,
                'category_id': 1,
                'segmentation': copy.deepcopy(SQUARE),
                'area': 100.0,
                'bbox': [2, 2, 10, 10],
                'iscrowd': 0,
            },
            {
                'id': 2,
                'image_id': 2,
                'category_id': 2,
                'segmentation': {'size': [30, 40], 'counts': rle['counts'].decode()},
                'area': 400.0,
                'bbox': [10, 5, 20, 20],
                'iscrowd': 0,
            },
        ],
    }


def small_results():
    """The objects of `small_truth`, and a duplicate of the first."""
    truth = small_truth()['annotations']
    return [
        {
            key: copy.deepcopy(truth[index][key])
            for key in ('image_id', 'category_id', 'segmentation')
        }
        | {'score': score, 'mask_score': score / 2}
        for index, score in ((0, 0.5), (1, 0.75), (0, 0.25))
    ]
