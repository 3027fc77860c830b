import json
import math

import numpy as np
import pytest

from msrcnn_plugin.evaluation import MaskScoringPairs, MaskScoringResult
from msrcnn_plugin.evaluation.rankings import RankedAP


def ranked(value, ap_of_small=-1.0):
    """Two categories with AP ``value`` and 0 everywhere; small objects have none by default."""
    precision = np.full((10, 3, 2, 4, 1), value)
    precision[:, :, 1] = 0
    precision[:, :, :, 1] = ap_of_small
    return RankedAP(
        precision=precision,
        iou_thresholds=np.linspace(0.5, 0.95, 10),
        category_ids=(1, 2),
        sizes=('all', 'small', 'medium', 'large'),
        max_dets=(100,),
    )


def result_of(predicts_iou=True, scores=(0.5, 0.5, 0.9)):
    pairs = MaskScoringPairs(
        image_id=np.array([1, 1, 2]),
        category_id=np.array([1, 1, 2]),
        box_score=np.array(scores),
        mask_score=np.array([0.4, 0.4, 0.4]),
        predicted_iou=np.array([0.4, 0.6, 1.0]) if predicts_iou else None,
        true_iou=np.array([0.5, 0.5, 0.8]),
        area=np.array([10, 1024, 20000]),
        box=np.zeros((3, 4)),
        category_ids=np.array([1, 2]),
        category_names=np.array(['cat', 'dog']),
    )
    names = ('mask', 'cls', 'iou', 'oracle') if predicts_iou else ('mask', 'cls', 'oracle')
    return MaskScoringResult(
        rankings={name: ranked(0.5 + index / 10) for index, name in enumerate(names)},
        pairs=pairs,
        size_ranges={'all': (0, 1e10), 'small': (0, 1024), 'medium': (1024, 9216),
                     'large': (9216, 1e10)},
    )  # fmt: skip


def test_flat_figures():
    figures = result_of().figures()
    assert 'segm_mAP_mask' not in figures
    assert figures['segm_mAP_cls'] == pytest.approx(0.3)
    assert figures['segm_mAP_oracle_75'] == pytest.approx(0.4)
    assert math.isnan(figures['segm_mAP_iou_s'])
    assert figures['cls_score_ece'] == pytest.approx(0.1 / 3)
    assert figures['mask_iou_ece'] == pytest.approx((0.1 + 0.1 + 0.2) / 3)
    assert figures['mask_iou_mae'] == pytest.approx(0.4 / 3)


def test_model_without_predicted_iou():
    figures = result_of(predicts_iou=False).figures()
    assert not any('iou' in name for name in figures)
    assert {'segm_mAP_cls', 'segm_mAP_oracle', 'cls_score_ece'} <= set(figures)
    assert 'Pearson' not in result_of(predicts_iou=False).table()


def test_detection_on_the_border_of_two_sizes_belongs_to_both():
    counts = {figures.name: figures.detections for figures in result_of().by_size()}
    assert counts == {'small': 2, 'medium': 1, 'large': 1}


def test_by_class():
    cat, dog = result_of().by_class()
    assert (cat.name, cat.detections, cat.ap['cls']) == ('cat', 2, pytest.approx(0.6))
    assert cat.mask_iou.mae == pytest.approx(0.1)
    assert math.isnan(cat.mask_iou.pearson)  # the true IoUs are equal
    assert dog.ap['cls'] == 0


def test_scores_that_are_no_probabilities_have_no_calibration_error():
    figures = result_of(scores=(0.5, 0.5, 1.2)).figures()
    assert math.isnan(figures['cls_score_ece'])
    assert not math.isnan(figures['mask_iou_ece'])


def test_dict_is_json_without_nan():
    content = json.loads(json.dumps(result_of().to_dict(), allow_nan=False))
    assert content['figures']['segm_mAP_cls_s'] is None
    assert [scope['name'] for scope in content['scopes']] == [
        'all', 'small', 'medium', 'large', 'cat', 'dog',
    ]  # fmt: skip
    assert content['ap_by_iou']['mask'] == pytest.approx([0.25] * 10)
    assert len(content['iou_thresholds']) == 10


def test_table():
    overview, classwise = result_of().table(), result_of().table(classwise=True)
    assert 'AP by oracle' in overview
    assert 'dog' not in overview
    assert 'dog' in classwise
    assert 'nan' not in classwise
