"""Tasks of Label Studio: polygons that give the masks again, and its own validation."""

import numpy as np
import pytest
from pycocotools import mask as mask_utils

from msrcnn_plugin.connectors.label_studio import label_studio_config, label_studio_tasks, outlines

from .queue import disc, queue, rle_of

pytest.importorskip('shapely', reason='shapely, which simplifies outlines, is not installed')


def drawn(regions, size=(60, 80)):
    """The mask (H, W) of the polygons of regions."""
    height, width = size
    parts = [
        (np.array(region['value']['points']) / 100 * (width, height)).ravel().tolist()
        for region in regions
    ]
    return mask_utils.decode(mask_utils.merge(mask_utils.frPyObjects(parts, height, width)))


def iou(first, second):
    return (first & second).sum() / (first | second).sum()


def test_polygons_give_the_masks_again():
    first, second, empty = label_studio_tasks(queue())
    (region,) = second['predictions'][0]['result']
    assert iou(drawn([region]), disc(20, 5, 30)) > 0.97
    assert len(region['value']['points']) < 40  # of some 80 pixels of outline
    # Holes are filled, and each part is a region.
    regions = first['predictions'][0]['result']
    assert [each['id'] for each in regions] == ['2-0', '2-1']
    assert iou(drawn(regions), disc(18, 25, 30) | disc(8, 65, 15)) > 0.95
    assert empty['predictions'][0]['result'] == []


def test_scores_and_names():
    first, second, empty = label_studio_tasks(queue(), 'http://host/{file_name}')
    assert first['data'] == dict(image='http://host/a.png')
    assert first['predictions'][0]['score'] == 0.375
    (region,) = second['predictions'][0]['result']
    assert region['score'] == 0.125
    assert region['value']['polygonlabels'] == ['"odd" & rare']
    assert empty['predictions'][0]['score'] is None
    points = np.array(region['value']['points'])
    assert points.min() >= 0
    assert points.max() <= 100


def test_a_mask_of_one_pixel_has_an_outline():
    mask = np.zeros((60, 80))
    mask[10, 20] = 1
    (points,) = outlines(rle_of(mask))
    assert len(points) >= 3
    assert ((points >= (20, 10)) & (points <= (21, 11))).all()
    assert list(outlines(rle_of(np.zeros((60, 80))))) == []


def test_label_studio_accepts_them():
    sdk = pytest.importorskip(
        'label_studio_sdk.label_interface', reason='the SDK of Label Studio is not installed'
    )
    dataset = queue()
    interface = sdk.LabelInterface(label_studio_config(dataset['categories']))
    for task in label_studio_tasks(dataset):
        for prediction in task['predictions']:
            assert interface.validate_prediction(prediction, return_errors=True) == []
    wrong = label_studio_tasks(
        {**dataset, 'categories': [dict(id=3, name='x'), dict(id=7, name='y')]}
    )
    assert not interface.validate_prediction(wrong[0]['predictions'][0])
