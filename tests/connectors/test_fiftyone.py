"""FiftyOne's own loader keeps the scores; needs FiftyOne and the MongoDB that it starts."""

import json

import cv2
import numpy as np
import pytest

from .queue import queue

# Of its own dependencies.
pytestmark = pytest.mark.filterwarnings('ignore::DeprecationWarning')


def test_scores_become_attributes(tmp_path, monkeypatch):
    monkeypatch.setenv('FIFTYONE_DATABASE_DIR', str(tmp_path / 'database'))
    fiftyone = pytest.importorskip('fiftyone', reason='FiftyOne is not installed')
    coco = pytest.importorskip('fiftyone.utils.coco')
    content = queue()
    results = content['annotations']
    for entry in results:
        del entry['id'], entry['area'], entry['iscrowd']  # as results have it
    truth = [dict(entry, id=n, area=1.0, iscrowd=0) for n, entry in enumerate(results, 1)]
    for name, part in (('gt', dict(content, annotations=truth)), ('dt', results)):
        (tmp_path / f'{name}.json').write_text(json.dumps(part))
    for image in content['images']:
        cv2.imwrite(str(tmp_path / image['file_name']), np.zeros((60, 80, 3), np.uint8))
    dataset = fiftyone.Dataset.from_dir(
        dataset_type=fiftyone.types.COCODetectionDataset,
        data_path=str(tmp_path),
        labels_path=str(tmp_path / 'gt.json'),
        label_types='segmentations',
        include_id=True,
    )
    coco.add_coco_labels(
        dataset,
        'predictions',
        str(tmp_path / 'dt.json'),
        content['categories'],
        label_type='segmentations',
        coco_id_field='coco_id',
    )
    found = {
        sample.coco_id: sample.predictions.detections for sample in dataset if sample.predictions
    }
    for entry in results:
        (detection,) = found[entry['image_id']]
        assert detection.confidence == entry['score']
        assert detection['mask_iou'] == entry['mask_iou']
        assert detection['mask_score'] == entry['mask_score']
