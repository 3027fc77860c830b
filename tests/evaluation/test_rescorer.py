import json
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone

from msrcnn_plugin.evaluation import Rescorer, evaluate_coco
from msrcnn_plugin.evaluation.coco import match_files
from msrcnn_plugin.evaluation.coco_files import read_ground_truth, read_results

from .coco_sets import data_set, rectangle
from .rescoring_sets import scattered_set, with_keys

SQUARE = rectangle(0, 0, 9, 9)


@pytest.fixture(scope='module')
def fitted():
    return Rescorer(trees=40, resamples=50).fit(*scattered_set(0))


def test_new_images_gain_what_was_promised(fitted):
    data, results = scattered_set(1, first=100)
    figures = evaluate_coco(data, fitted.apply(results)).figures
    gain = figures['segm_mAP'] - figures['segm_mAP_cls']
    assert fitted.judged_['low'] > 0.1
    assert fitted.judged_['gain'] == pytest.approx(gain, abs=0.15)
    assert figures['mask_iou_ece'] < 0.1
    assert figures['mask_iou_ece'] < figures['cls_score_ece']


def chance_set():
    """Neither the scores nor the masks, all of one size, tell good detections from bad ones."""
    data, results = scattered_set(0)
    rng = np.random.default_rng(0)
    boxes = [(*(int(value) for value in rng.integers(0, 80, 2)), 30, 30) for _ in results]
    return data, with_keys(results, segmentation=[rectangle(*box) for box in boxes])


def test_the_judgement_is_of_images_held_out():
    assert Rescorer(trees=40, resamples=50).fit(*chance_set()).judged_['low'] <= 0.02


def test_other_keys_stay(fitted):
    _, results = scattered_set(2, images=2)
    scored = fitted.apply(results)
    assert [{key: entry[key] for key in results[0]} for entry in scored] == results
    assert set(scored[0]) == {*results[0], 'mask_score', 'mask_iou'}
    assert all(0 <= entry[key] <= 1 for entry in scored for key in ('mask_score', 'mask_iou'))
    replaced = fitted.apply(results, replace_score=True)
    assert [entry['score'] for entry in replaced] == [entry['mask_score'] for entry in scored]


def test_an_image_is_scored_alone(fitted):
    _, results = scattered_set(2, images=3)
    alone = [entry for entry in results if entry['image_id'] == 2]
    together = [entry for entry in fitted.apply(results) if entry['image_id'] == 2]
    assert fitted.apply(alone) == together


def test_no_results(fitted):
    assert fitted.apply([]) == []


def test_a_file_gives_the_same_scores_and_is_plain_json(fitted, tmp_path):
    fitted.save(tmp_path / 'rescorer.json')
    assert json.loads((tmp_path / 'rescorer.json').read_text())['judged'] == fitted.judged_
    _, results = scattered_set(3, images=2)
    loaded = Rescorer.load(tmp_path / 'rescorer.json')
    assert loaded.apply(results) == fitted.apply(results)


def test_a_clone_learns_the_same(fitted):
    again = clone(fitted).fit(*scattered_set(0))
    _, results = scattered_set(3, images=2)
    assert again.judged_ == fitted.judged_
    assert again.apply(results) == fitted.apply(results)


def test_a_feature_is_learnt_from_and_asked_for():
    data, results = chance_set()
    truth = read_ground_truth(data)
    matches = match_files(truth, read_results(results, truth))
    hint = np.empty(len(results))
    hint[matches.result_index] = matches.ranking_scores('unique')
    rescorer = Rescorer(['hint'], trees=40, resamples=50).fit(
        data, with_keys(results, hint=hint.tolist())
    )
    assert rescorer.judged_['low'] > 0
    with pytest.raises(ValueError, match='`hint` is given by 0 of'):
        rescorer.apply(results)


def test_detections_on_a_crowd_alone_are_ignored():
    crowd, cat = rectangle(0, 0, 40, 40), rectangle(60, 60, 20, 20)
    data = data_set([1], [(1, 1, crowd, 1), (1, 1, cat)], ['cat'])
    results = [
        dict(image_id=1, category_id=1, score=0.5, segmentation=rectangle(*box))
        for box in ((0, 0, 10, 10), (60, 60, 20, 20), (100, 0, 5, 5))
    ]
    truth = read_ground_truth(data)
    matches = match_files(truth, read_results(results, truth))
    assert matches.on_crowd.tolist() == [True, False, False]


def only(data, results, keep):
    return data, [entry for place, entry in enumerate(results) if keep(place, entry)]


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda d, r: only(d, r, lambda _, e: e['image_id'] < 20), '19 images, expected 20 or'),
        (lambda d, r: only(d, r, lambda p, _: p % 10 in (0, 3, 6)), 'there is nothing to learn'),
        (lambda d, r: only(d, r, lambda p, _: p % 10 == 9), 'no detection overlaps an object'),
        (lambda d, r: (d, with_keys(r, score=[2.5])), 'has the score 2.5, expected a probability'),
        (lambda d, r: (d, with_keys(r, image_id=[999])), '`image_id` is 999'),
        (lambda d, r: (d, with_keys(r, segmentation=[None])), 'boxes alone are no masks'),
    ],
)
def test_what_nothing_can_be_learnt_from(change, message):
    with pytest.raises(ValueError, match=message):
        Rescorer(resamples=50).fit(*change(*scattered_set(0)))


@pytest.mark.parametrize(
    ('results', 'message'),
    [
        ({'images': []}, 'file of ground truth'),
        ([{'image_id': 1, 'category_id': 1, 'bbox': [0, 0, 9, 9], 'score': 1}], 'boxes are not'),
        ([dict(image_id=1, category_id=1, score=1, segmentation=[[0, 0, 9, 0, 9, 9]])], 'polygons'),
        (
            [dict(image_id=1, category_id=7, score=1, segmentation=rectangle(0, 0, 9, 9))],
            'for these',
        ),
        ([dict(image_id=1, category_id=1, score=-1, segmentation=rectangle(0, 0, 9, 9))], 'scale'),
    ],
)
def test_what_cannot_be_scored(fitted, results, message):
    with pytest.raises(ValueError, match=message):
        fitted.apply(results)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda content: content.update(format='msrcnn rescorer 9'), 'of this version'),
        (lambda content: content['trees'].update(mask_iou='tree'), 'damaged'),
        (lambda content: content['parameters'].update(features=['more']), 'do not read'),
        (lambda content: content.pop('calibration'), 'damaged'),
    ],
)
def test_a_file_that_is_no_rescorer(fitted, tmp_path, change, message):
    fitted.save(tmp_path / 'rescorer.json')
    content = json.loads((tmp_path / 'rescorer.json').read_text())
    change(content)
    (tmp_path / 'rescorer.json').write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        Rescorer.load(tmp_path / 'rescorer.json')


def test_needs_neither_torch_nor_mmdet():
    code = (
        'import sys\n'
        'from msrcnn_plugin.evaluation import Rescorer\n'
        'assert not {"torch", "mmdet", "mmengine", "mmcv"} & set(sys.modules)\n'
        'print(Rescorer(trees=3))\n'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert 'trees=3' in done.stdout
