import numpy as np
import pytest

from msrcnn_plugin.evaluation import pairwise_rle_iou

from .coco_sets import rectangle


def test_half_overlap():
    left, right = rectangle(0, 0, 20, 10), rectangle(10, 0, 20, 10)
    ious = pairwise_rle_iou([left, right], [left], [0])
    np.testing.assert_allclose(ious, [[1], [1 / 3]])


def test_crowd_covers_a_detection_that_lies_in_it():
    ious = pairwise_rle_iou([rectangle(2, 2, 4, 4)], [rectangle(0, 0, 50, 50)], [1])
    assert ious.tolist() == [[1.0]]


@pytest.mark.parametrize(('detections', 'gts'), [(0, 0), (0, 2), (2, 0)])
def test_nothing_to_compare(detections, gts):
    mask = rectangle(0, 0, 5, 5)
    ious = pairwise_rle_iou([mask] * detections, [mask] * gts, [0] * gts)
    assert ious.shape == (detections, gts)


def test_masks_of_another_size_are_refused_wherever_they_lie():
    with pytest.raises(ValueError, match=r'\(10, 10\).* pixels .* truth .*\(120, 160\)'):
        pairwise_rle_iou([rectangle(0, 0, 5, 5, (10, 10))], [rectangle(90, 90, 5, 5)], [0])
