import contextlib

import numpy as np
import pytest
from mmdet.evaluation import CocoMetric
from mmdet.evaluation.metrics import coco_metric
from pycocotools.cocoeval import COCOeval

from msrcnn_plugin.evaluation.shared_iou_eval import SharedIoUEval, recorded_evaluations

from .coco_sets import evaluated, random_set


@pytest.mark.parametrize('max_dets', [(100, 300, 1000), (1, 2, 3)])
def test_own_figures_are_those_of_the_stock_evaluator(max_dets):
    data, results = random_set(1, images=4, truths=6, detections=30)
    stock = evaluated(data, results, max_dets=max_dets)
    shared = evaluated(data, results, max_dets=max_dets, evaluator=SharedIoUEval)
    np.testing.assert_allclose(shared.eval['precision'], stock.eval['precision'], atol=1e-9)
    np.testing.assert_allclose(shared.stats, stock.stats, atol=1e-9)


def test_the_stock_evaluator_comes_back_after_an_error():
    assert coco_metric.COCOeval is COCOeval
    with contextlib.suppress(ZeroDivisionError), recorded_evaluations():
        assert coco_metric.COCOeval is not COCOeval
        1 / 0  # noqa: B018
    assert coco_metric.COCOeval is COCOeval
    assert CocoMetric.__module__ == coco_metric.__name__


def test_boxes_are_evaluated_by_the_stock_evaluator():
    with recorded_evaluations() as evaluations:
        made = coco_metric.COCOeval(None, None, 'bbox')
    assert evaluations == [made]
    assert type(made) is COCOeval
