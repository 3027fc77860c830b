"""The metric as mmengine runs it, against pycocotools run separately."""

import contextlib
import json
import logging
import math

import numpy as np
import pytest
from mmdet.evaluation import CocoMetric
from mmdet.registry import METRICS
from mmengine.evaluator import Evaluator
from pycocotools import mask as mask_utils

from msrcnn_plugin.evaluation import (
    MaskScoringMetric,
    Matches,
    evaluate_coco,
    expected_calibration_error,
    iou_error,
)

from .coco_sets import data_set, evaluated, fields_of, random_set, rectangle, samples

SUFFIXES = ('', '_50', '_75', '_s', '_m', '_l')


@pytest.fixture
def run(tmp_path):
    """Writes the annotation file and sends the predictions through mmengine's Evaluator."""

    def run(data, results, fields, metric_type='MaskScoringMetric', batch=2, **options):
        options = {'metric': ['bbox', 'segm'], **options}
        if 'ann_file' not in options:
            options['ann_file'] = str(tmp_path / 'annotations.json')
            (tmp_path / 'annotations.json').write_text(json.dumps(data))
        evaluator = Evaluator([METRICS.build({'type': metric_type, **options})])
        classes = tuple(category['name'] for category in data['categories'])
        evaluator.dataset_meta = {'classes': classes}
        outputs = list(samples(data, results, fields))
        for first in range(0, len(outputs), batch):
            evaluator.process(outputs[first : first + batch])
        return evaluator.evaluate(len(outputs)), evaluator.metrics[0]

    return run


@pytest.fixture
def example():
    data, results = random_set(15, images=6, truths=6, detections=30, classes=3)
    return data, results, fields_of(results)


def best_iou(data, result):
    """True MaskIoU, one pair of masks at a time."""
    ious = [
        mask_utils.iou([result['segmentation']], [truth['segmentation']], [0])[0, 0]
        for truth in data['annotations']
        if not truth['iscrowd']
        and truth['image_id'] == result['image_id']
        and truth['category_id'] == result['category_id']
    ]
    return max(ious, default=0.0)


def test_every_ranking_equals_its_own_coco_evaluation(run, example):
    data, results, fields = example
    figures, _ = run(*example)
    scores = fields['scores'].astype(float)
    rankings = {
        '': fields['mask_scores'],
        '_cls': scores,
        '_iou': fields['mask_ious'],
        '_oracle': scores * [best_iou(data, result) for result in results],
    }
    for name, values in rankings.items():
        expected = evaluated(data, results, values).stats[:6]
        got = [figures[f'coco/segm_mAP{name}{suffix}'] for suffix in SUFFIXES]
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-9)


def test_error_and_calibration_equal_those_of_single_pairs(run, example):
    data, results, fields = example
    figures, _ = run(*example)
    true = [best_iou(data, result) for result in results]
    error = iou_error(fields['mask_ious'], true)
    for name in ('mae', 'rmse', 'pearson', 'spearman'):
        assert figures[f'coco/mask_iou_{name}'] == pytest.approx(getattr(error, name), abs=1e-12)
    for name, field in (('cls_score', 'scores'), ('mask_iou', 'mask_ious')):
        expected = expected_calibration_error(fields[field], true)
        assert figures[f'coco/{name}_ece'] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    'options',
    [
        {},
        {'classwise': True},
        {'metric': ['segm', 'bbox', 'proposal']},
        {'metric': 'segm', 'metric_items': ['mAP', 'AR@300']},
        {'proposal_nums': (1, 10, 100)},
        {'prefix': 'val'},
    ],
)
def test_returns_what_coco_metric_returns(run, example, options):
    stock, _ = run(*example, metric_type='CocoMetric', **options)
    figures, _ = run(*example, **options)
    for name, value in stock.items():
        assert figures[name] == pytest.approx(value, abs=5.1e-4), name


def test_box_figures_have_full_precision(run, example):
    figures, metric = run(*example)
    assert figures['coco/bbox_mAP'] != round(figures['coco/bbox_mAP'], 3)
    assert isinstance(metric, CocoMetric)


def test_plain_mask_rcnn(run):
    data, results = random_set(3, images=4, truths=6, detections=30)
    fields = fields_of(results, predicts_iou=False)
    figures, metric = run(data, results, fields)
    assert not any('mask_iou' in name or '_iou' in name for name in figures)
    assert figures['coco/segm_mAP'] == pytest.approx(figures['coco/segm_mAP_cls'], abs=1e-12)
    assert figures['coco/segm_mAP_oracle'] > figures['coco/segm_mAP_cls']
    assert figures['coco/cls_score_ece'] > 0
    assert 'mask_iou' not in metric.result.matches.scores


@pytest.mark.parametrize(
    ('field', 'ranking'), [('mask_mean_probs', 'prob'), ('mask_stabilities', 'stability')]
)
def test_scores_without_training_are_ranked_where_they_are_given(run, example, field, ranking):
    data, results, fields = example
    given = {**fields, field: fields['mask_ious'][::-1].copy()}
    figures, _ = run(data, results, given)
    expected = evaluated(data, results, given['scores'].astype(float) * given[field]).stats[0]
    assert figures[f'coco/segm_mAP_{ranking}'] == pytest.approx(expected, abs=1e-9)


def test_a_calibration_changes_the_calibration_error_alone(run, example):
    data, results, fields = example
    before, _ = run(*example)
    calibrated = fields['mask_ious'] ** 2 / 2
    after, metric = run(
        data,
        results,
        {**fields, 'mask_ious': calibrated, 'uncalibrated_mask_ious': fields['mask_ious']},
    )
    matches = metric.result.matches
    assert after['coco/mask_iou_ece_uncalibrated'] == before['coco/mask_iou_ece']
    assert after['coco/mask_iou_ece'] == pytest.approx(
        expected_calibration_error(calibrated[matches.result_index], matches.true_iou)
    )
    assert 'ECE uncalibrated_mask_iou' in metric.result.table()
    for name, value in before.items():
        if 'mAP' in name or 'AR' in name:
            assert after[name] == value, name


@pytest.mark.parametrize('options', [{}, {'classwise': True}, {'metric': 'segm'}])
def test_nothing_detected_returns_what_coco_metric_returns(run, options, tmp_path):
    """mmengine skips `save_best` for an empty dict; with `segm_...` alone it would fail."""
    data, _ = random_set(3, truths=5, crowd=0)
    nothing = np.zeros(0, dtype=np.float32)
    fields = {'scores': nothing, 'mask_ious': nothing, 'mask_scores': nothing}
    stock, _ = run(data, [], fields, metric_type='CocoMetric', **options)
    figures, metric = run(data, [], fields, pairs_file=tmp_path / 'none.npz', **options)
    assert figures == stock
    assert len(Matches.load(tmp_path / 'none.npz')) == 0
    assert metric.result.figures['segm_mAP'] == metric.result.figures['segm_mAP_oracle'] == 0
    for name in ('mask_iou_mae', 'mask_iou_spearman', 'cls_score_ece', 'mask_iou_ece'):
        assert math.isnan(metric.result.figures[name])


def test_a_head_that_diverged_does_not_end_the_run(run, example, caplog):
    data, results, fields = example
    fields = {**fields, 'mask_ious': fields['mask_ious'].copy()}
    fields['mask_ious'][3] = np.nan
    fields['mask_scores'] = fields['scores'] * fields['mask_ious']
    plain = {'scores': fields['scores']}
    expected, _ = run(data, results, plain)
    with caplog.at_level(logging.WARNING):
        figures, metric = run(data, results, fields)
    for name, value in expected.items():
        if name.startswith(('coco/bbox', 'coco/segm_mAP_', 'coco/cls')) and name.count('_') > 2:
            assert figures[name] == pytest.approx(value, nan_ok=True), name
    for name in ('segm_mAP', 'segm_mAP_50', 'segm_mAP_iou', 'mask_iou_mae', 'mask_iou_ece'):
        assert math.isnan(figures[f'coco/{name}'])
    assert list(metric.result.matches.scores) == ['score']


@pytest.mark.parametrize('ids', [str, lambda i: 2**127 + i])
def test_ids_of_every_kind(run, example, ids, tmp_path):
    data, results, fields = example
    expected, _ = run(*example)
    for item in (*data['annotations'], *results):
        item['image_id'] = ids(item['image_id'])
    for image in data['images']:
        image['id'] = ids(image['id'])
    figures, _ = run(data, results, fields, pairs_file=tmp_path / 'pairs.npz')
    assert figures == pytest.approx(expected, nan_ok=True)
    loaded = Matches.load(tmp_path / 'pairs.npz')
    assert set(loaded.image_ids) == {image['id'] for image in data['images']}


def test_same_result_as_from_coco_files(run, example):
    data, results, fields = example
    _, metric = run(*example)
    names = dict(scores='score', mask_scores='mask_score', mask_ious='mask_iou')
    found = [
        {**result, **{names[field]: float(values[i]) for field, values in fields.items()}}
        for i, result in enumerate(results)
    ]
    expected = evaluate_coco(data, found, max_dets=(100, 300, 1000)).figures
    assert metric.result.figures == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_no_ground_truth(run):
    data, results = random_set(3, truths=0, detections=20)
    figures, _ = run(data, results, fields_of(results))
    assert figures['coco/segm_mAP'] == -1  # CocoMetric's word for undefined
    assert math.isnan(figures['coco/segm_mAP_cls'])
    assert figures['coco/mask_iou_mae'] > 0
    assert math.isnan(figures['coco/mask_iou_pearson'])


def instances_of(data, image):
    """The ground truth of an image as mmdet's data sets hand it on."""
    truths = [truth for truth in data['annotations'] if truth['image_id'] == image]
    return [
        {
            'bbox_label': truth['category_id'] - 1,
            'bbox': [x, y, x + width, y + height],
            'ignore_flag': truth['iscrowd'],
            'mask': truth['segmentation'],
        }
        for truth in truths
        for x, y, width, height in [truth['bbox']]
    ]


def test_ground_truth_from_the_samples(run, example):
    """CocoMetric then takes the areas of the boxes; these masks are rectangles."""
    data, results, fields = example
    expected, _ = run(*example)
    metric = MaskScoringMetric()
    metric.dataset_meta = {'classes': ('cat', 'dog', 'cow')}
    for sample in samples(data, results, fields):
        instances = instances_of(data, sample.img_id)
        metric.process({}, [{**sample.to_dict(), 'instances': instances}])
    np.testing.assert_equal(metric.evaluate(len(metric.results)), expected)


def test_second_evaluation_of_the_same_metric_gives_the_same(run, example):
    data, results, fields = example
    first, metric = run(*example)
    for sample in samples(data, results, fields):
        metric.process({}, [sample.to_dict()])
    np.testing.assert_equal(metric.evaluate(len(data['images'])), first)


def test_format_only_writes_and_evaluates_nothing(run, example, tmp_path):
    figures, metric = run(*example, format_only=True, outfile_prefix=str(tmp_path / 'out'))
    assert figures == {}
    assert metric.result is None
    assert (tmp_path / 'out.segm.json').is_file()


def test_pairs_file(run, example, tmp_path):
    data, results, fields = example
    _, metric = run(*example, pairs_file=tmp_path / 'pairs.npz')
    pairs = Matches.load(tmp_path / 'pairs.npz')
    listed = [results[i] for i in pairs.result_index]
    np.testing.assert_array_equal(pairs.true_iou, metric.result.matches.true_iou)
    assert [pairs.image_ids[i] for i in pairs.image] == [r['image_id'] for r in listed]
    assert [pairs.category_ids[i] for i in pairs.category] == [r['category_id'] for r in listed]
    for name, field in (('mask_iou', 'mask_ious'), ('mask_score', 'mask_scores')):
        np.testing.assert_array_equal(pairs.scores[name], fields[field][pairs.result_index])
    np.testing.assert_allclose(pairs.true_iou, [best_iou(data, r) for r in listed], atol=1e-12)
    areas = [mask_utils.area(result['segmentation']) for result in listed]
    np.testing.assert_array_equal(pairs.area, areas)
    assert pairs.category_names == ('cat', 'dog', 'cow')


def test_result_has_classes_and_sizes(run, example):
    _, metric = run(*example)
    classes, sizes = metric.result.by_class(), metric.result.by_size()
    assert [figures.name for figures in classes] == ['cat', 'dog', 'cow']
    assert sum(figures.detections for figures in classes) == len(metric.result.matches)
    assert [figures.name for figures in sizes] == ['small', 'medium', 'large']


def test_oracle_reaches_one_where_a_perfect_mask_exists(run):
    data = data_set([1], [(1, 1, rectangle(0, 0, 40, 40))])
    boxes = (rectangle(0, 0, 40, 24), rectangle(0, 0, 40, 40))
    results = [{'image_id': 1, 'category_id': 1, 'segmentation': box} for box in boxes]
    scores = np.array([0.9, 0.8], dtype=np.float32)
    ious = np.array([0.6, 1.0], dtype=np.float32)
    fields = {'scores': scores, 'mask_ious': ious, 'mask_scores': scores * ious}
    figures, _ = run(data, results, fields)
    assert figures['coco/segm_mAP_cls'] == pytest.approx(0.65)
    for name in ('segm_mAP', 'segm_mAP_iou', 'segm_mAP_oracle', 'mask_iou_pearson'):
        assert figures[f'coco/{name}'] == pytest.approx(1)
    assert figures['coco/mask_iou_mae'] == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize('iou_thrs', [0.5, [0.5, 0.75]])
def test_own_iou_thresholds(run, example, iou_thrs):
    figures, _ = run(*example, iou_thrs=iou_thrs)
    full, _ = run(*example)
    for name in ('segm_mAP_50', 'segm_mAP_oracle_50'):
        assert figures[f'coco/{name}'] == pytest.approx(full[f'coco/{name}'], abs=1e-12)


def test_unbounded_scores(run, example):
    """mmdet's own Mask Scoring R-CNN gives scores below 0 and above 1."""
    data, results, fields = example
    fields = {'scores': fields['scores'] * 3 - 1}
    with pytest.raises(ValueError, match='bounded_scores=False'):
        run(data, results, fields)
    figures, _ = run(data, results, fields, bounded_scores=False)
    assert figures['coco/segm_mAP_cls'] == pytest.approx(figures['coco/segm_mAP'], abs=1e-12)
    assert math.isnan(figures['coco/cls_score_ece'])


def test_predictions_of_another_data_set(run, example, tmp_path):
    data, results, fields = example
    other = tmp_path / 'other.json'
    other.write_text(json.dumps(dict(data, images=data['images'][:1], annotations=[])))
    with pytest.raises(ValueError, match='annotation file does not list'):
        run(data, results, fields, ann_file=str(other))


def test_mixed_models(run, example):
    data, results, fields = example
    _, metric = run(*example)
    for index, sample in enumerate(samples(data, results, fields)):
        sample = sample.to_dict()
        if index:
            del sample['pred_instances']['mask_ious']
        metric.process({}, [sample])
    with pytest.raises(ValueError, match='`mask_ious` is given for 1 of 6 images'):
        metric.evaluate(len(data['images']))


def test_no_predictions_at_all():
    with pytest.raises(ValueError, match='no predictions to evaluate'):
        MaskScoringMetric().compute_metrics([])


def test_boxes_alone_are_refused():
    with pytest.raises(ValueError, match="leaves out 'segm'"):
        MaskScoringMetric(metric='bbox')


def metric_of(tmp_path, data):
    (tmp_path / 'annotations.json').write_text(json.dumps(data))
    return MaskScoringMetric(str(tmp_path / 'annotations.json'))


def test_two_categories_of_one_name(tmp_path):
    metric = metric_of(tmp_path, data_set([1], classes=('cat', 'dog', 'cat')))
    with pytest.raises(ValueError, match=r"2 categories of the name 'cat' \(ids \[1, 3\]\)"):
        metric.dataset_meta = {'classes': ('cat', 'dog')}


@pytest.mark.parametrize('content', ['{"images": [', '[]'])
def test_broken_annotation_file(tmp_path, content):
    path = tmp_path / 'broken.json'
    path.write_text(content)
    with pytest.raises(ValueError, match=r'broken\.json|annotations'):
        MaskScoringMetric(ann_file=str(path))


def test_missing_annotation_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        MaskScoringMetric(ann_file=str(tmp_path / 'none.json'))


def test_multiprocessing_option(run, example):
    """`use_mp_eval` starts processes for the boxes only, where mmdet has it."""
    with contextlib.suppress(TypeError):
        CocoMetric(use_mp_eval=True)
        expected, _ = run(*example, metric='segm')
        got, _ = run(*example, metric='segm', use_mp_eval=True)
        np.testing.assert_equal(got, expected)
