"""`evaluate_coco` against pycocotools and against the metric, and files that it refuses."""

import copy
import json
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as mask_utils

from msrcnn_plugin.evaluation import MaskScoringResult, evaluate_coco

from .coco_sets import data_set, evaluated, random_set, rectangle

NAMES = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l',
         'AR@1', 'AR@10', 'AR@100', 'AR_s@100', 'AR_m@100', 'AR_l@100')  # fmt: skip


def with_scores(results, seed=0, names=('mask_score',)):
    rng = np.random.default_rng(seed)
    return [
        {**result, **{name: round(float(rng.random()), 1) for name in names}} for result in results
    ]


@given(seed=st.integers(0, 2**31), crowd=st.sampled_from([0, 0.3]))
def test_every_score_equals_its_own_coco_evaluation(seed, crowd):
    data, results = random_set(seed, images=3, truths=5, crowd=crowd)
    results = with_scores(results, seed)
    figures = evaluate_coco(data, results).figures
    limits = (1, 10, 100)
    for key, short in (('score', '_cls'), ('mask_score', '')):
        if key in (results[0] if results else {'score': 0}):
            stats = evaluated(data, results, [r[key] for r in results], limits).stats
            for name, value in zip(NAMES, stats):
                if not (short and name.startswith('AR')):
                    got = figures['segm_' + name.replace('mAP', f'mAP{short}')]
                    assert got == pytest.approx(
                        math.nan if value < 0 else value, abs=1e-9, nan_ok=True
                    )


def test_paths_polygons_and_uncompressed_masks(tmp_path):
    polygon = [[10, 10, 50, 10, 50, 50, 10, 50]]
    data = data_set([1], [(1, 1, rectangle(10, 10, 40, 40))])
    data['annotations'][0]['segmentation'] = polygon
    mask = mask_utils.decode(rectangle(10, 10, 40, 20)).T.ravel()
    changes = np.flatnonzero(np.diff(mask)) + 1
    counts = np.diff([0, *changes, len(mask)]).tolist()
    found = [
        dict(image_id=1, category_id=1, score=0.9, segmentation=polygon),
        dict(image_id=1, category_id=1, score=0.8,
             segmentation=dict(size=[120, 160], counts=counts)),
    ]  # fmt: skip
    (tmp_path / 'gt.json').write_text(json.dumps(data))
    (tmp_path / 'dt.json').write_text(json.dumps(found))
    given_data, given_found = copy.deepcopy((data, found))
    matches = evaluate_coco(tmp_path / 'gt.json', str(tmp_path / 'dt.json')).matches
    assert matches.true_iou.tolist() == [1, 0.5]
    assert matches.box.tolist() == [[10, 10, 50, 50], [10, 10, 50, 30]]
    assert evaluate_coco(data, found).figures['segm_mAP'] == pytest.approx(1)
    assert (data, found) == (given_data, given_found)


def test_scores_that_no_result_has_are_left_out():
    data, results = random_set(15, images=4)
    result = evaluate_coco(data, results)
    assert list(result.rankings) == ['score', 'oracle', 'unique']
    assert result.figures['segm_mAP'] == result.figures['segm_mAP_cls']
    assert not any('share' in name or 'mask_iou' in name for name in result.figures)


def test_a_key_of_ones_own_is_ranked_and_judged():
    data, results = random_set(15, images=4)
    results = with_scores(results, names=('mask_score', 'mask_iou', 'quality'))
    result = evaluate_coco(data, results, ('quality',))
    assert list(result.rankings) == ['score', 'mask_iou', 'quality', 'oracle', 'unique']
    for name in ('segm_mAP_quality_50', 'quality_ece', 'quality_mae', 'mask_iou_ece'):
        assert result.figures[name] >= 0
    assert -10 < result.figures['quality_unique_share'] < 1


def test_shares_of_the_head_room_by_hand():
    data = data_set([1], [(1, 1, rectangle(0, 0, 40, 40)), (1, 1, rectangle(60, 0, 40, 40))])
    found = [
        dict(image_id=1, category_id=1, segmentation=rectangle(*box), score=score, mask_score=other)
        for box, score, other in (
            ((0, 0, 40, 40), 0.9, 0.9),
            ((0, 0, 40, 39), 0.8, 0.1),
            ((60, 0, 40, 40), 0.7, 0.8),
        )
    ]
    result = evaluate_coco(data, found)
    assert result.figures['segm_mAP'] == pytest.approx(1)
    assert result.figures['mask_score_unique_share'] == pytest.approx(1)
    # The oracle, 0.9, 0.8 * 0.975, 0.7, keeps the order of the class score: there is no room.
    assert math.isnan(result.figures['mask_score_oracle_share'])


def test_saved_and_read_again(tmp_path):
    data, results = random_set(3)
    result = evaluate_coco(data, with_scores(results))
    result.save(tmp_path / 'result.npz')
    assert MaskScoringResult.load(tmp_path / 'result.npz').figures == pytest.approx(
        result.figures, nan_ok=True
    )


def test_nothing_detected():
    data, _ = random_set(3, truths=5, crowd=0)
    figures = evaluate_coco(data, []).figures
    assert figures['segm_mAP'] == figures['segm_mAP_unique'] == figures['segm_AR@100'] == 0
    assert math.isnan(figures['cls_score_ece'])


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda results: results[0].pop('mask_score'), '`mask_score` is'),
        (lambda results: results[1].update(mask_score='0.5'), 'mask_score'),
        (lambda results: results[1].update(mask_score=math.nan), 'mask_score'),
        (lambda results: results[2].update(mask_score=True), 'mask_score'),
        (
            lambda results: [r.update(segmentation=rectangle(0, 0, 5, 5, (9, 9))) for r in results],
            r'[(\[]9, 9[)\]]',
        ),
    ],
)
def test_results_that_are_refused(change, message):
    data, results = random_set(15)
    results = with_scores(results)
    change(results)
    with pytest.raises(ValueError, match=message):
        evaluate_coco(data, results)


def test_needs_neither_torch_nor_mmdet():
    code = (
        'import sys, types, importlib.util\n'
        'package = types.ModuleType("msrcnn_plugin")\n'
        'package.__path__ = ["msrcnn_plugin"]\n'
        'sys.modules["msrcnn_plugin"] = package\n'  # its own registering needs the host
        'for name in ("torch", "mmdet", "mmengine", "mmcv"):\n'
        '    sys.modules[name] = None\n'
        'import msrcnn_plugin.evaluation as e, msrcnn_plugin.visualization.report\n'
        'assert "scipy" not in sys.modules\n'
        'print(e.evaluate_coco({"images": [], "annotations": [], "categories": []}, []).figures)\n'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "'segm_mAP': nan" in done.stdout
