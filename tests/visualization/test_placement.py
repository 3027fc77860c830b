import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msrcnn_plugin.visualization import label_corners

IMAGE, LABEL = (100, 120), (10.0, 6.0)


def rectangle(corner):
    return np.array([*corner, corner[0] + LABEL[0], corner[1] + LABEL[1]])


def shared(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return max(0, width) * max(0, height)


def test_no_boxes_no_labels():
    assert label_corners(np.zeros((0, 4)), LABEL, IMAGE) == []


def test_a_lone_box_is_labelled_above_its_middle():
    assert label_corners(np.array([[40, 50, 60, 70]]), LABEL, IMAGE) == [(45, 44)]


def test_at_the_upper_border_the_label_goes_to_the_right():
    assert label_corners(np.array([[40, 0, 60, 20]]), LABEL, IMAGE) == [(60, 7)]


def test_labels_of_one_spot_do_not_meet():
    boxes = np.tile([[50, 50, 58, 58]], (6, 1))
    labels = [rectangle(corner) for corner in label_corners(boxes, LABEL, IMAGE)]
    for i, label in enumerate(labels):
        assert shared(label, boxes[0]) == 0
        assert all(shared(label, other) == 0 for other in labels[:i])


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 80)), max_size=6))
def test_labels_stay_in_the_image(corners):
    boxes = np.array([(x, y, x + 15, y + 15) for x, y in corners]).reshape(-1, 4)
    for corner in label_corners(boxes, LABEL, IMAGE):
        inside = shared(rectangle(corner), (0, 0, IMAGE[1], IMAGE[0]))
        assert inside == pytest.approx(LABEL[0] * LABEL[1])
