"""Scores arrive as attributes, where Datumaro's own importer of COCO files (CVAT's too) looks."""

import json

import numpy as np
import pytest

from msrcnn_plugin.connectors.cvat import cvat_annotations

from .queue import queue


def test_scores_are_attributes():
    dataset = queue()
    written = cvat_annotations(dataset)
    assert written['annotations'][0]['attributes'] == dict(
        score=0.5, mask_iou=0.25, mask_score=0.125
    )
    assert written['images'] == dataset['images']
    assert 'attributes' not in dataset['annotations'][0]


def test_datumaro_reads_them(tmp_path):
    datumaro = pytest.importorskip('datumaro', reason='Datumaro is not installed')
    dataset = queue()
    for folder in ('annotations', 'images'):
        (tmp_path / folder).mkdir()
    file = tmp_path / 'annotations' / 'instances_default.json'
    file.write_text(json.dumps(cvat_annotations(dataset)))
    items = list(datumaro.Dataset.import_from(str(tmp_path), 'coco_instances'))
    read = {item.id: item.annotations for item in items}
    mask, _ = read['b']  # and its box
    assert mask.attributes['mask_iou'] == 0.25
    assert mask.attributes['mask_score'] == 0.125
    assert np.asarray(mask.image).sum() == dataset['annotations'][0]['area']
    assert len(read['a']) == 2
