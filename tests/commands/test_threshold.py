"""A threshold from matches and from COCO files, and the files that review takes."""

import json

import numpy as np
import pytest

from msrcnn_plugin.commands.main import main
from msrcnn_plugin.evaluation import evaluate_coco
from msrcnn_plugin.evaluation.threshold import read_threshold

SQUARE, HALF = [[0, 0, 8, 0, 8, 8, 0, 8]], [[0, 0, 4, 0, 4, 8, 0, 8]]


@pytest.fixture
def files(tmp_path):
    """60 images of one object, found with a score of 0.8; a half of it is found with 0.4."""
    count = range(1, 61)
    entry = dict(category_id=1, segmentation=SQUARE)
    truth = dict(
        images=[dict(id=i, height=10, width=10) for i in count],
        categories=[dict(id=1, name='cell')],
        annotations=[dict(entry, id=i, image_id=i, iscrowd=0, area=64) for i in count],
    )
    found = [dict(entry, image_id=i, score=0.4, mask_iou=0.8) for i in count]
    found += [dict(entry, image_id=i, score=0.8, mask_iou=0.4, segmentation=HALF) for i in count]
    for item in found:
        item['mask_score'] = item['mask_iou']
    names = tmp_path / 'gt.json', tmp_path / 'dt.json'
    for path, content in zip(names, (truth, found)):
        path.write_text(json.dumps(content))
    return names


def threshold(*words):
    return main(['threshold', *map(str, words)])


def test_files_give_the_threshold_of_the_mask_score(files, tmp_path, capsys):
    gt, dt = files
    out = tmp_path / 'threshold.json'
    assert threshold('--annotations', gt, '--results', dt, '--json', out) == 0
    # The good masks have 0.8 and the halves 0.4, on a grid of hundredths.
    assert read_threshold(out) == ('mask_score', pytest.approx(0.41))
    shown = capsys.readouterr().out
    assert 'Keep masks with mask_score >= 0.41' in shown
    assert 'at least 90 % of them have an IoU of 0.7 or more (confidence 95 %, from 60' in shown
    figures = json.loads(out.read_text())
    assert (figures['masks'], figures['kept'], figures['kept_good']) == (120, 60, 60)
    assert (figures['objects'], figures['kept_objects']) == (60, 60)


def test_matches_give_the_same(files, tmp_path):
    evaluate_coco(*files).save(tmp_path / 'pairs.npz')
    first, second = tmp_path / 'a.json', tmp_path / 'b.json'
    assert threshold(tmp_path / 'pairs.npz', '--json', first) == 0
    assert threshold('--annotations', files[0], '--results', files[1], '--json', second) == 0
    assert first.read_text() == second.read_text()


def test_a_score_that_misleads_has_no_threshold(files, tmp_path, capsys):
    gt, dt = files
    out = tmp_path / 'threshold.json'
    words = ('--annotations', gt, '--results', dt, '--json', out, '--score', 'score')
    assert threshold(*words) == 1
    shown = capsys.readouterr().out
    assert 'No threshold of score keeps the promise' in shown
    assert '50 % of the masks that it keeps in an image are good' in shown
    # 0.9 ** 44 is the first power below (1 - 0.95) / 5.
    assert 'takes 44 images' in shown
    figures = json.loads(out.read_text())
    assert (figures['threshold'], figures['kept'], figures['kept_objects']) == (None, 0, 0)
    with pytest.raises(ValueError, match='no threshold of score keeps'):
        read_threshold(out)
    # A lower promise can be kept: half of the masks are good.
    assert threshold(*words, '--precision', '0.3') == 0
    assert np.isclose(read_threshold(out)[1], 0.01)


def test_bad_input_takes_one_line(files, tmp_path, capsys):
    gt, dt = files
    both = ('--annotations', gt, '--results', dt)
    for words, message in (
        ((), 'give PAIRS.npz'),
        (('--results', dt), 'give PAIRS.npz'),
        ((tmp_path / 'no.npz',), 'no such file'),
        ((*both, '--score', 'none'), 'none'),
        ((*both, '--precision', '1'), 'expected a number between 0 and 1'),
    ):
        assert threshold(*words) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count('\n') == 1
    gt.write_text('{"images": []}')
    with pytest.raises(ValueError, match='holds no threshold'):
        read_threshold(gt)
