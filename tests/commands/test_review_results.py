"""The queue of a results file: the masks of a low predicted IoU, in each tool's format."""

import json

import numpy as np
import pytest

from msrcnn_plugin.commands.main import main
from msrcnn_plugin.connectors.cvat import SCORES

from ..connectors.queue import queue, rle_of


@pytest.fixture
def files(tmp_path):
    """Images and categories; the masks of the queue by hand as results, and an empty one."""
    dataset = queue()
    results = [
        {key: entry[key] for key in ('image_id', 'category_id', 'segmentation', *SCORES)}
        for entry in dataset['annotations']
    ]
    results.append(dict(results[0], segmentation=rle_of(np.zeros((60, 80)))))
    paths = [tmp_path / name for name in ('images.json', 'dt.json', 'queue.json')]
    for path, content in zip(paths, (dict(dataset, annotations=[]), results)):
        path.write_text(json.dumps(content))
    return paths


def review(files, *options):
    annotations, results, out = files
    words = [out, '--annotations', annotations, '--results', results, *options]
    return main(['review', *map(str, words)])


def test_masks_of_a_low_iou_come_first(files, capsys):
    assert review(files) == 0
    written, expected = json.loads(files[2].read_text()), queue()
    assert written['images'] == expected['images']
    assert written['categories'] == expected['categories']
    for found, entry in zip(written['annotations'], expected['annotations'], strict=True):
        assert {key: found[key] for key in entry} == entry
    assert '2 masks with a predicted IoU below 0.7' in capsys.readouterr().out
    assert review(files, '--below', 0.4) == 0
    assert [each['mask_iou'] for each in json.loads(files[2].read_text())['annotations']] == [0.25]
    assert review(files, '--min-score', 0.6) == 0
    assert [each['score'] for each in json.loads(files[2].read_text())['annotations']] == [0.75]


def test_a_proven_threshold_and_the_formats(files, tmp_path):
    threshold = tmp_path / 'threshold.json'
    threshold.write_text(json.dumps(dict(score='mask_score', threshold=0.2)))
    assert review(files, '--threshold', threshold, '--format', 'cvat') == 0
    (entry,) = json.loads(files[2].read_text())['annotations']
    assert entry['attributes'] == dict(score=0.5, mask_iou=0.25, mask_score=0.125)
    pytest.importorskip('shapely', reason='shapely is not installed')
    assert review(files, '--format', 'label-studio') == 0
    tasks = json.loads(files[2].read_text())
    assert [task['predictions'][0]['score'] for task in tasks] == [0.375, 0.125, None]


def test_bad_input_takes_one_line(files, capsys):
    plain = [
        {key: value for key, value in entry.items() if key != 'mask_iou'}
        for entry in json.loads(files[1].read_text())
    ]
    files[1].write_text(json.dumps(plain))
    assert review(files) == 2
    error = capsys.readouterr().err
    assert '`mask_iou` is given by 0 of 3 results' in error
    assert error.count('\n') == 1
    assert main(['review', str(files[2]), '--results', str(files[1])]) == 2
    assert 'OUT --annotations FILE.json --results DT.json' in capsys.readouterr().err
    assert not files[2].exists()


def test_lists_of_categories_stay_those_of_lvis(files):
    dataset = json.loads(files[0].read_text())
    (first, *_), last = dataset['images'], dataset['categories'][-1]['id']
    first.update(neg_category_ids=[last], not_exhaustive_category_ids=[last])
    for image in dataset['images'][1:]:
        image.update(neg_category_ids=[], not_exhaustive_category_ids=[])
    files[0].write_text(json.dumps(dataset))
    assert review(files) == 0
    assert json.loads(files[2].read_text())['images'] == dataset['images']
