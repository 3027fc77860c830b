"""COCO's figures and what a mask score adds: the same masks under several rankings, in one pass."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from mmdet.datasets.api_wrappers import COCO, COCOeval
from mmdet.evaluation import CocoMetric
from mmdet.registry import METRICS
from mmengine.logging import MMLogger
from numpy.typing import NDArray

from . import input_checks
from .pairs import MaskScoringPairs
from .ranking_basis import RankingBasis
from .rankings import RankedAP
from .result import HOST_RANKING, MaskScoringResult
from .shared_iou_eval import SharedIoUEval, recorded_evaluations

# Place of each figure in COCOeval.stats.
COCO_FIGURES = (
    *('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l'),
    *('AR@100', 'AR@300', 'AR@1000', 'AR_s@1000', 'AR_m@1000', 'AR_l@1000'),
)
_ADDED_FIELDS = ('mask_ious', 'mask_mean_probs', 'uncalibrated_mask_ious')


@METRICS.register_module()
class MaskScoringMetric(CocoMetric):
    """`CocoMetric`, the same masks under other rankings, and the quality of the predicted MaskIoU.

    Everything that `CocoMetric` returns (boxes ranked by `scores`, masks by `mask_scores`), its AP
    and AR in full precision instead of three digits, and, with ``t`` the true MaskIoU of a
    prediction (its largest mask IoU with a ground truth of its class in its image that is no crowd,
    0 where there is none):

    - ``segm_mAP_cls``, ``segm_mAP_iou``, ``segm_mAP_oracle``: AP of the masks ranked by `scores`,
      by `mask_ious`, by `scores` x t; also with ``_50``, ``_75``, ``_s``, ``_m``, ``_l``.
      ``segm_mAP_prob``, by `scores` x `mask_mean_probs`, where a model gives the mean probability
      inside its masks;
    - ``mask_iou_mae``, ``_rmse``, ``_pearson``, ``_spearman``: `mask_ious` against t;
    - ``cls_score_ece``, ``mask_iou_ece``: expected calibration error of `scores` and `mask_ious` as
      estimates of t; of a calibrated model also ``mask_iou_ece_uncalibrated``, what it was before.

    What is undefined is NaN (COCO's own figures keep its -1). A model without `mask_ious` gets
    everything that does not need them. The figures per class and per size are in `result`, after
    `compute_metrics`, on the main process.

    Args:
        ann_file: as in `CocoMetric`.
        metric: as in `CocoMetric`; has to include ``segm``.
        pairs_file: where to write the pairs of predicted and true MaskIoU (`MaskScoringPairs`).
        bounded_scores: refuse scores outside [0, 1]. Without it they are ranked as they are, and
            ``cls_score_ece`` is NaN if there are any; mmdet's own Mask Scoring R-CNN needs that.
        kwargs: the other arguments of `CocoMetric`.
    """

    def __init__(
        self,
        ann_file: str | None = None,
        metric: str | Sequence[str] = ('bbox', 'segm'),
        *,
        pairs_file: str | os.PathLike | None = None,
        bounded_scores: bool = True,
        **kwargs: Any,
    ) -> None:
        metrics = [metric] if isinstance(metric, str) else list(metric)
        if 'segm' not in metrics:
            raise ValueError(
                f"metric={metrics} leaves out 'segm', which MaskScoringMetric is about; "
                'add it, or use CocoMetric'
            )
        with _explained(ann_file):
            super().__init__(ann_file=ann_file, metric=metrics, **kwargs)
        # COCOeval finds 0.5 and 0.75 in an array only
        self.iou_thrs = np.atleast_1d(np.asarray(self.iou_thrs, dtype=float))
        self.pairs_file = pairs_file
        self.bounded_scores = bounded_scores
        self.result: MaskScoringResult | None = None
        self._image_ids = None
        if self._coco_api is not None:
            self._image_ids = set(self._coco_api.get_img_ids())
            if not self.format_only:
                input_checks.check_annotations(self._coco_api.dataset, str(ann_file))

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        first = len(self.results)
        added = [self._checked(sample) for sample in data_samples]
        super().process(data_batch, data_samples)
        for (_, prediction), fields in zip(self.results[first:], added):
            prediction.update(fields)

    def compute_metrics(self, results: list) -> dict[str, float]:
        """`CocoMetric`'s figures and this class's, without the prefix."""
        if not results:
            raise ValueError('no predictions to evaluate: the data set or the data loader is empty')
        predictions = [prediction for _, prediction in results]
        input_checks.check_every_image_once([item['img_id'] for item in predictions])
        input_checks.check_same_fields(predictions, (*_ADDED_FIELDS, 'mask_scores'))
        self._check_classes()
        with recorded_evaluations() as evaluations:
            figures = super().compute_metrics(results)
        if self.format_only:
            return figures
        if not any(len(prediction['labels']) for prediction in predictions):
            evaluations.append(self._evaluation_of_nothing())
            figures.update({f'segm_{name}': np.nan for name in self._items()})
        figures.update(_full_precision(figures, evaluations))
        self.result = self._ranked(_mask_evaluation(evaluations), _FlatPredictions(predictions))
        MMLogger.get_current_instance().info('\n' + self.result.table(classwise=self.classwise))
        figures.update(self.result.figures())
        return figures

    def _checked(self, sample: Mapping[str, Any]) -> dict[str, NDArray]:
        """Refuses a sample that cannot be evaluated; the fields that CocoMetric does not keep."""
        classes = (self.dataset_meta or {}).get('classes')
        input_checks.check_prediction(
            sample,
            class_count=None if classes is None else len(classes),
            image_ids=self._image_ids,
        )
        if self._image_ids is None:
            input_checks.check_ground_truth_masks(sample)
        names = ('scores', 'mask_scores', *_ADDED_FIELDS)
        values = {
            name: input_checks.checked_scores(sample, name, bounded=self.bounded_scores)
            for name in names
            if name in sample['pred_instances']
        }
        return {name: values[name] for name in _ADDED_FIELDS if name in values}

    def _check_classes(self) -> None:
        if self._image_ids is not None and not self.format_only:
            input_checks.check_classes(self.dataset_meta['classes'], self._coco_api.dataset)

    def _items(self) -> Sequence[str]:
        return COCO_FIGURES[:6] if self.metric_items is None else self.metric_items

    def _evaluation_of_nothing(self) -> SharedIoUEval:
        """CocoMetric gives up on a data set without a single detection; COCO's AP of it is 0."""
        empty = COCO()
        empty.dataset = {**self._coco_api.dataset, 'annotations': []}
        empty.createIndex()
        evaluation = SharedIoUEval(self._coco_api, empty, 'segm')
        evaluation.params.catIds, evaluation.params.imgIds = self.cat_ids, self.img_ids
        evaluation.params.maxDets = list(self.proposal_nums)
        evaluation.params.iouThrs = self.iou_thrs
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        return evaluation

    def _ranked(
        self, evaluation: SharedIoUEval, predictions: _FlatPredictions
    ) -> MaskScoringResult:
        overlaps = evaluation.overlaps
        order = overlaps.detection_id - 1  # COCO numbers the results from 1
        if not np.array_equal(overlaps.detection_score, predictions.mask_score[order]):
            raise RuntimeError(
                'CocoMetric listed the masks in another order than it was given them'
            )
        pairs = self._pairs(evaluation, predictions)
        if self.pairs_file is not None:
            pairs.save(self.pairs_file)
        return MaskScoringResult.from_pairs(pairs, {HOST_RANKING: _host_ranking(evaluation)})

    def _pairs(self, evaluation: SharedIoUEval, predictions: _FlatPredictions) -> MaskScoringPairs:
        overlaps = evaluation.overlaps
        place = overlaps.detection_id - 1
        true_iou, area = np.zeros(len(place)), np.zeros(len(place))
        true_iou[place], area[place] = overlaps.true_iou, overlaps.detection_area
        categories = evaluation.params.catIds
        names = [category['name'] for category in self._coco_api.load_cats(categories)]
        return MaskScoringPairs(
            image_id=predictions.image_id,
            category_id=np.array(self.cat_ids, dtype=np.int64)[predictions.label],
            box_score=predictions.box_score,
            mask_score=predictions.mask_score,
            predicted_iou=predictions.mask_iou,
            true_iou=true_iou,
            area=area,
            box=predictions.box,
            category_ids=np.array(categories, dtype=np.int64),
            category_names=np.array(names, dtype=str),
            mean_prob=predictions.mean_prob,
            uncalibrated_iou=predictions.uncalibrated_iou,
            basis=RankingBasis.of(overlaps, evaluation.params),
        )


class _FlatPredictions:
    """The predictions of all images one after the other, as CocoMetric lists them."""

    def __init__(self, predictions: Sequence[Mapping[str, Any]]) -> None:
        counts = [len(item['labels']) for item in predictions]
        self.image_id = np.repeat(np.array([item['img_id'] for item in predictions]), counts)
        self.label = _joined(predictions, 'labels').astype(np.int64)
        self.box = _joined(predictions, 'bboxes').reshape(-1, 4)
        self.box_score = _joined(predictions, 'scores')
        has_mask_scores = 'mask_scores' in predictions[0]
        self.mask_score = _joined(predictions, 'mask_scores' if has_mask_scores else 'scores')
        self.mask_iou, self.mean_prob, self.uncalibrated_iou = (
            _joined(predictions, name) if name in predictions[0] else None for name in _ADDED_FIELDS
        )


def _joined(predictions: Sequence[Mapping[str, Any]], name: str) -> NDArray[np.float64]:
    return np.concatenate([np.asarray(item[name], dtype=np.float64) for item in predictions])


def _mask_evaluation(evaluations: Sequence[COCOeval]) -> SharedIoUEval:
    for evaluation in evaluations:
        if isinstance(evaluation, SharedIoUEval):
            return evaluation
    raise RuntimeError(
        'this CocoMetric does not evaluate masks through its COCOeval; mmdet 3.0 to 3.3 '
        "and OneDL's 3.5 do: install one of them"
    )


def _host_ranking(evaluation: SharedIoUEval) -> RankedAP:
    params = evaluation.params
    return RankedAP(
        precision=evaluation.eval['precision'],
        iou_thresholds=np.asarray(params.iouThrs, dtype=float),
        category_ids=tuple(int(category) for category in params.catIds),
        sizes=tuple(params.areaRngLbl),
        max_dets=tuple(params.maxDets),
    )


def _full_precision(
    figures: Mapping[str, float], evaluations: Sequence[COCOeval]
) -> dict[str, float]:
    """CocoMetric's figures before it cut them to three digits, too few to compare rankings."""
    full = {}
    for evaluation in evaluations:
        if evaluation.params.useCats:  # not `proposal`, which is an evaluation of boxes as well
            for name, value in zip(COCO_FIGURES, evaluation.stats):
                full[f'{evaluation.params.iouType}_{name}'] = float(value)
    return {name: value for name, value in full.items() if name in figures}


@contextmanager
def _explained(ann_file: str | None) -> Iterator[None]:
    """Where reading the annotation file fails, says what is wrong with the file."""
    try:
        yield
    except (KeyError, TypeError, AssertionError, AttributeError, ValueError):
        if ann_file is None or not os.path.isfile(ann_file):
            raise
        input_checks.read_annotations(ann_file)
        raise
