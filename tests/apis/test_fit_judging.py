"""What the heads learn of each detection, computed by hand."""

import json

import numpy as np
import pytest
import torch
from pycocotools import mask as rle_tools

from msrcnn_plugin.apis.fit.detections import Detections
from msrcnn_plugin.apis.fit.judging import Judge
from msrcnn_plugin.models.rank_inputs import NUMBERS

SIDE = 20


def rle(height):
    """The upper rows of an image."""
    mask = np.zeros((SIDE, SIDE), np.uint8, order='F')
    mask[:height] = 1
    encoded = rle_tools.encode(mask)
    return dict(encoded, counts=encoded['counts'].decode())


def image(image_id, masks, labels):
    count = len(masks)
    return dict(
        image_id=image_id,
        masks=masks,
        scores=torch.linspace(0.9, 0.5, count),
        labels=torch.tensor(labels, dtype=torch.long),
        numbers=torch.full((count, len(NUMBERS)), 0.8),
    )


@pytest.fixture
def judge(tmp_path):
    """Image 7 has an object of 10 rows and class 5. Image 3 is a crowd of class 9, of 10 rows."""
    annotations = [
        dict(id=1, image_id=7, category_id=5, iscrowd=0, segmentation=rle(10)),
        dict(id=2, image_id=3, category_id=9, iscrowd=1, segmentation=rle(10)),
    ]
    for annotation in annotations:
        annotation.update(area=200, bbox=[0, 0, 20, 10])
    content = dict(
        images=[dict(id=i, file_name=f'{i}.jpg', height=SIDE, width=SIDE) for i in (7, 3)],
        annotations=annotations,
        categories=[dict(id=i, name=str(i)) for i in (5, 9)],
    )
    file = tmp_path / 'annotations.json'
    file.write_text(json.dumps(content))
    found = [
        image(7, [rle(8), rle(10), rle(10)], [0, 0, 1]),
        image(3, [rle(5), rle(5)], [1, 0]),
    ]
    return Judge(Detections(found, tmp_path, (1, 1, 1)), file, [5, 9])


def test_the_iou_of_each_detection_is_learned(judge):
    assert judge.targets().true_iou.tolist() == pytest.approx([0.8, 1, 0, 0, 0])


@pytest.mark.parametrize(
    ('logits', 'expected'),
    [
        # The paper's mask score puts the first one before its duplicate: 0.5 to 0.8 of 0.95.
        ([0.0, 0.0, 0.0, 0.0, 0.0], [0.7, 0.3, 0, 0, 0]),
        ([-1.0, 1.0, 0.0, 0.0, 0.0], [0, 1, 0, 0, 0]),
    ],
)
def test_the_first_match_in_order_keeps_the_object(judge, logits, expected):
    assert judge.matched_share(torch.tensor(logits)).tolist() == pytest.approx(expected)


def test_what_lies_in_a_crowd_of_its_class_is_not_learned(judge):
    assert judge.targets().counted.tolist() == [True, True, True, False, True]


def test_only_chosen_images_are_evaluated(judge):
    matches = judge.evaluate(np.array([True, False])).matches
    assert matches.image_ids == (7,)
    assert len(matches) == 3


def test_no_detection_is_an_error(judge, tmp_path):
    empty = Detections([image(7, [], []), image(3, [], [])], tmp_path, (1, 1, 1))
    with pytest.raises(ValueError, match='detects nothing in 2 training images'):
        Judge(empty, tmp_path / 'annotations.json', [5, 9]).targets()
