import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as mask_utils

from msrcnn_plugin.evaluation.coco_files import read_ground_truth, read_results
from msrcnn_plugin.evaluation.rescorer_table import detection_table, table_columns

from .coco_sets import data_set, random_set, rectangle


def columns(data, results, features=()):
    found = read_results(results, read_ground_truth(data), scores=('score', *features))
    return dict(zip(table_columns(features), detection_table(found, features).T))


@settings(max_examples=15)
@given(st.integers(0, 2**31))
def test_neighbours_equal_those_of_the_decoded_masks(seed):
    data, results = random_set(seed, images=2, detections=6)
    table = columns(data, results)
    masks = [mask_utils.decode(entry['segmentation']).astype(bool) for entry in results]
    for place, one in enumerate(results):
        largest = {'same': 0.0, 'other': 0.0}
        for other_place, other in enumerate(results):
            if other_place != place and other['image_id'] == one['image_id']:
                kind = 'same' if other['category_id'] == one['category_id'] else 'other'
                pair = masks[place], masks[other_place]
                iou = np.logical_and(*pair).sum() / np.logical_or(*pair).sum()
                largest[kind] = max(largest[kind], iou)
        for kind, iou in largest.items():
            np.testing.assert_allclose(table[f'{kind}_max_iou'][place], iou, atol=1e-12)
        assert table['log_mask_area'][place] == np.log(masks[place].sum())


def test_rows_stand_as_in_the_file():
    shared = dict(segmentation=rectangle(10, 10, 20, 20))
    results = [
        dict(image_id=2, category_id=1, score=0.5, quality=7, **shared),
        dict(image_id=1, category_id=1, score=0.5, quality=8, **shared),
        dict(image_id=2, category_id=1, score=0.9, quality=9, **shared),
    ]
    table = columns(data_set([1, 2], [], ['cat']), results, ('quality',))
    assert table['quality'].tolist() == [7, 8, 9]
    assert table['same_better_quality'].tolist() == [9, 0, 0]
    assert table['same_max_better_iou'].tolist() == [1, 0, 0]


def test_of_no_result():
    truth = read_ground_truth(data_set([1]))
    found = read_results([], truth, scores=('score', 'mask_iou'))
    assert detection_table(found, ('mask_iou',)).shape == (0, len(table_columns(('mask_iou',))))
