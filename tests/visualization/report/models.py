"""Reported models made without a network: a few hundred masks with known scores."""

import json
from dataclasses import replace

import numpy as np

from msrcnn_plugin.evaluation import MaskScoringMetric, MaskScoringResult
from msrcnn_plugin.visualization.report import ReportedModel

from ...evaluation.coco_sets import fields_of, random_set, samples
from ...evaluation.test_result import result_of


def evaluated_set(folder, *, images=6, detections=30, truths=6, predicts_iou=True, **options):
    """The `MaskScoringResult` of random masks; the matches are in ``folder/pairs.npz``."""
    data, results = random_set(
        5, images=images, truths=truths, detections=detections, classes=3, crowd=0.1
    )
    return evaluated(
        folder, data, results, fields_of(results, predicts_iou=predicts_iou), **options
    )


def evaluated(folder, data, results, fields, **options):
    """The `MaskScoringResult` of given masks."""
    folder.mkdir(parents=True, exist_ok=True)
    annotations = folder / 'annotations.json'
    annotations.write_text(json.dumps(data))
    metric = MaskScoringMetric(str(annotations), pairs_file=folder / 'pairs.npz', **options)
    metric.dataset_meta = {'classes': [category['name'] for category in data['categories']]}
    metric.process({}, [sample.to_dict() for sample in samples(data, results, fields)])
    metric.compute_metrics(metric.results)
    return metric.result


def with_ap(before, after, oracle, name='a model', unique=None, **changes):
    """A model whose mask AP is given for class score, mask score and the two ceilings."""
    values = dict(score=before, mask_score=after, oracle=oracle, mask_iou=before)
    values['unique'] = oracle if unique is None else unique
    result = result_of(mask_iou=(0.4, 0.6, 1.0), mask_score=(0.2, 0.3, 0.9))
    rankings = {
        key: replace(
            result.rankings[key],
            precision=np.full_like(result.rankings[key].precision, value),
        )
        for key, value in values.items()
    }
    return ReportedModel(name, MaskScoringResult(result.matches, rankings), **changes)
