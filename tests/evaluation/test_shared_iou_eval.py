import contextlib
import io

import numpy as np
import pytest
from mmdet.evaluation import CocoMetric
from mmdet.evaluation.metrics import coco_metric
from pycocotools.cocoeval import COCOeval
from rich.console import Console

from msrcnn_plugin.evaluation import progress
from msrcnn_plugin.evaluation.shared_iou_eval import (
    LeanCOCOeval,
    SharedIoUEval,
    recorded_evaluations,
)

from .coco_sets import data_set, evaluated, random_set, rectangle


@pytest.mark.parametrize('evaluator', [LeanCOCOeval, SharedIoUEval])
@pytest.mark.parametrize('max_dets', [(100, 300, 1000), (1, 2, 3)])
def test_own_figures_are_those_of_the_stock_evaluator(evaluator, max_dets):
    data, results = random_set(1, images=4, truths=6, detections=30)
    stock = evaluated(data, results, max_dets=max_dets)
    lean = evaluated(data, results, max_dets=max_dets, evaluator=evaluator)
    np.testing.assert_array_equal(lean.eval['precision'], stock.eval['precision'])
    np.testing.assert_array_equal(lean.stats, stock.stats)


def test_iou_of_a_detection_beyond_the_limit_is_known():
    data = data_set([1], [(1, 1, rectangle(0, 0, 10, 10))])
    results = [
        {'image_id': 1, 'category_id': 1, 'segmentation': rectangle(*box), 'score': score}
        for box, score in (((50, 50, 9, 9), 0.9), ((0, 0, 10, 5), 0.1))
    ]
    shared = evaluated(data, results, max_dets=(1, 1, 1), evaluator=SharedIoUEval)
    assert shared.overlaps.true_iou.tolist() == [0, 0.5]


def test_what_nobody_reads_again_is_freed():
    evaluation = evaluated(*random_set(2), evaluator=SharedIoUEval)
    assert not evaluation.evalImgs
    assert not evaluation.ious


def test_the_stock_evaluator_comes_back_after_an_error():
    assert coco_metric.COCOeval is COCOeval
    with contextlib.suppress(ZeroDivisionError), recorded_evaluations():
        assert coco_metric.COCOeval is not COCOeval
        1 / 0  # noqa: B018
    assert coco_metric.COCOeval is COCOeval
    assert CocoMetric.__module__ == coco_metric.__name__


def test_boxes_are_evaluated_by_the_stock_rules():
    with recorded_evaluations() as evaluations:
        made = coco_metric.COCOeval(None, None, 'bbox')
    assert evaluations == [made]
    assert type(made) is LeanCOCOeval


def test_progress_is_shown_on_a_terminal_only(monkeypatch):
    def shown(is_terminal):
        stream = io.StringIO()
        monkeypatch.setattr(
            progress, 'Console', lambda **_: Console(file=stream, force_terminal=is_terminal)
        )
        with progress.progress_bar('Evaluating masks', 3) as counted:
            assert [counted(abs)(value) for value in (-1, 2, -3)] == [1, 2, 3]
        return stream.getvalue()

    assert 'Evaluating masks' in shown(True)
    assert shown(False) == ''
