import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from pycocotools.coco import COCO

from msrcnn_plugin.apis import review_queue

from ..conftest import disc

CLASSES = ('cell', 'speck')


def sample(name, ious, scores=None, masks=None):
    count = len(ious)
    if masks is None:
        masks = np.array([disc(40, 60, 20, 20, 5 + i) for i in range(count)]).reshape(-1, 40, 60)
    instances = InstanceData(
        labels=torch.arange(count) % 2,
        scores=torch.tensor(scores if scores else [0.5] * count, dtype=torch.float64),
        mask_ious=torch.tensor(ious, dtype=torch.float64),
        masks=torch.from_numpy(np.asarray(masks, bool)),
    )
    instances.mask_scores = instances.scores * instances.mask_ious
    return DetDataSample(metainfo=dict(img_path=name, ori_shape=(40, 60)), pred_instances=instances)


def test_by_hand():
    samples = [sample('a.png', [0.6, 0.9]), sample('b.png', [0.2, 0.65])]
    queue = review_queue(samples, CLASSES, below=0.65)
    assert [(a['id'], a['image_id'], a['mask_iou']) for a in queue['annotations']] == [
        (1, 2, 0.2),
        (2, 1, 0.6),
    ]
    assert [image['file_name'] for image in queue['images']] == ['a.png', 'b.png']
    assert queue['categories'] == [dict(id=1, name='cell'), dict(id=2, name='speck')]
    worst = queue['annotations'][0]
    assert (worst['category_id'], worst['score'], worst['mask_score']) == (1, 0.5, 0.1)
    assert worst['area'] == disc(40, 60, 20, 20, 5).sum()
    assert worst['bbox'] == [15, 15, 10, 10]


def test_loads_back_with_pycocotools(tmp_path):
    queue = review_queue([sample('a.png', [0.6, 0.1])], CLASSES)
    (tmp_path / 'queue.json').write_text(json.dumps(queue))
    coco = COCO(tmp_path / 'queue.json')
    first, second = coco.loadAnns(coco.getAnnIds())
    np.testing.assert_array_equal(coco.annToMask(first), disc(40, 60, 20, 20, 6))
    np.testing.assert_array_equal(coco.annToMask(second), disc(40, 60, 20, 20, 5))
    assert coco.loadCats(first['category_id'])[0]['name'] == 'speck'


def test_unlikely_objects_and_masks_without_a_pixel_are_left_out():
    masks = [disc(40, 60, 20, 20, 5), np.zeros((40, 60)), disc(40, 60, 20, 20, 9)]
    samples = [sample('a.png', [0.1, 0.1, 0.1], [0.2, 0.9, 0.9], masks)]
    (annotation,) = review_queue(samples, CLASSES)['annotations']
    assert annotation['area'] == disc(40, 60, 20, 20, 9).sum()


def test_nothing_found():
    queue = review_queue([sample('a.png', [])], CLASSES)
    assert len(queue['images']) == 1
    assert queue['annotations'] == []
    assert review_queue([], CLASSES)['images'] == []


def test_a_model_without_mask_ious_is_refused():
    plain = sample('a.png', [0.5])
    del plain.pred_instances.mask_ious
    with pytest.raises(ValueError, match='no mask_ious; expected those of a model with a MaskIoU'):
        review_queue([plain], CLASSES)


@given(ious=st.lists(st.lists(st.floats(0, 1), max_size=5), max_size=4), below=st.floats(0, 1))
def test_is_every_mask_below_lowest_first(ious, below):
    queue = review_queue([sample('a.png', each) for each in ious], CLASSES, below=below)
    found = [annotation['mask_iou'] for annotation in queue['annotations']]
    assert found == sorted(iou for each in ious for iou in each if iou < below)
    assert [a['id'] for a in queue['annotations']] == list(range(1, len(found) + 1))
