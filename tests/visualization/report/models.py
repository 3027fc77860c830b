"""Reported models made without a network: a few hundred masks with known scores."""

import json

from msrcnn_plugin.evaluation import MaskScoringMetric
from msrcnn_plugin.visualization.report import ReportedModel

from ...evaluation.coco_sets import fields_of, random_set, samples
from ...evaluation.test_result import ranked, result_of


def evaluated_set(folder, *, images=6, detections=30, truths=6, predicts_iou=True, **options):
    """The `MaskScoringResult` of random masks; the pairs are in ``folder/pairs.npz``."""
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


def with_ap(before, after, oracle, name='a model', **changes):
    """A model whose mask AP is given for class score, mask score and oracle."""
    rankings = dict(cls=before, mask=after, oracle=oracle, iou=before)
    result = result_of()
    return ReportedModel(
        name,
        type(result)(
            # `ranked` gives one of two categories the value, the other 0
            rankings={key: ranked(2 * value) for key, value in rankings.items()},
            pairs=result.pairs,
            size_ranges=result.size_ranges,
        ),
        **changes,
    )
