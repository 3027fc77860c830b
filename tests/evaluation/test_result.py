import json
import math

import numpy as np
import pytest

from msrcnn_plugin.evaluation import MaskScoringResult, evaluate_coco

from .coco_sets import data_set, rectangle

SIZE = 40


def result_of(scores=(0.5, 0.5, 0.9), **columns):
    """A cat found with IoU 0.5 and then 0.6, a dog found with 0.8; the object sides are 40."""
    masks = [(1, 20), (1, 24), (2, 32)]
    data = data_set(
        [1], [(1, c, rectangle(0, 0, SIZE, SIZE)) for c in (1, 2)], classes=('cat', 'dog')
    )
    results = [
        dict(image_id=1, category_id=category, segmentation=rectangle(0, 0, SIZE, height))
        for category, height in masks
    ]
    for place, result in enumerate(results):
        result['score'] = scores[place]
        result.update({name: values[place] for name, values in columns.items()})
    return evaluate_coco(data, results)


IOUS = dict(mask_iou=(0.4, 0.6, 1.0), mask_score=(0.2, 0.3, 0.9))


def test_flat_figures():
    figures = result_of(**IOUS).figures
    # By class score the poorer cat comes first: right at 0.5, then the other up to 0.6.
    assert figures['segm_mAP_cls_50'] == pytest.approx(1)
    assert figures['segm_mAP_cls'] == pytest.approx(((1 + 2 * 0.5) / 10 + 7 / 10) / 2)
    assert figures['segm_mAP'] == figures['segm_mAP_unique'] == pytest.approx((3 + 7) / 20)
    assert math.isnan(figures['segm_mAP_iou_l'])
    assert figures['cls_score_ece'] == pytest.approx((2 * 0.05 + 0.1) / 3)
    assert figures['mask_iou_ece'] == pytest.approx((0.1 + 0 + 0.2) / 3)
    assert figures['mask_iou_mae'] == pytest.approx(0.1)
    assert figures['segm_AR@100'] == figures['segm_AR_m@100']
    assert not any(name.startswith('segm_mAP_mask') for name in figures)


def test_model_without_predicted_iou():
    result = result_of()
    assert not any('iou' in name for name in result.figures)
    assert {'segm_mAP_cls', 'segm_mAP_oracle', 'segm_mAP_unique', 'cls_score_ece'} <= set(
        result.figures
    )
    assert 'Pearson' not in result.table()
    assert 'Pearson' in result_of(**IOUS).table()


def test_detection_on_the_border_of_two_sizes_belongs_to_both():
    border = rectangle(0, 0, 32, 32)
    data = data_set([1], [(1, 1, border)])
    found = [dict(image_id=1, category_id=1, segmentation=border, score=0.5)]
    counts = {scope.name: scope.detections for scope in evaluate_coco(data, found).by_size()}
    assert counts == {'small': 1, 'medium': 1, 'large': 0}


def test_by_class():
    cat, dog = result_of(**IOUS).by_class()
    assert (cat.name, cat.detections, cat.mean_true_iou) == ('cat', 2, pytest.approx(0.55))
    assert cat.quality['mask_iou'].error.mae == pytest.approx(0.05)
    assert cat.quality['score'].mean == 0.5
    assert math.isnan(cat.quality['score'].error.pearson)  # the scores are equal
    assert dog.ap['oracle'] == pytest.approx(0.7)


def test_scores_that_are_no_probabilities_have_no_calibration_error():
    figures = result_of(scores=(0.5, 0.5, 1.2), **IOUS).figures
    assert math.isnan(figures['cls_score_ece'])
    assert not math.isnan(figures['mask_iou_ece'])


def test_dict_is_json_without_nan():
    content = json.loads(json.dumps(result_of(**IOUS).to_dict(), allow_nan=False))
    assert content['figures']['segm_mAP_cls_s'] is None
    assert [scope['name'] for scope in content['scopes']] == [
        'all', 'small', 'medium', 'large', 'cat', 'dog',
    ]  # fmt: skip
    assert content['ap_by_iou']['mask_score'] == pytest.approx([1, 1, 1, *[0.5] * 4, 0, 0, 0])
    assert content['headroom']['mask_score']['unique'] == pytest.approx(1)
    assert len(content['iou_thresholds']) == 10


def test_table():
    result = result_of(**IOUS)
    overview, classwise = result.table(), result.table(classwise=True)
    assert 'AP by oracle' in overview
    assert 'dog' not in overview
    assert 'dog' in classwise
    assert 'nan' not in classwise


def test_a_ranking_that_is_given_is_not_counted_again():
    result = result_of(**IOUS)
    known = {'score': result.rankings['oracle']}
    again = MaskScoringResult.from_matches(result.matches, known)
    assert again.rankings['score'] is known['score']
    np.testing.assert_array_equal(
        again.rankings['oracle'].precision, result.rankings['oracle'].precision
    )
