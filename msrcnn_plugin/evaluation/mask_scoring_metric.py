"""COCO's figures and what a mask score adds: the same masks under several rankings, in one pass."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmdet.datasets.api_wrappers import COCO, COCOeval
from mmdet.evaluation import CocoMetric
from mmdet.registry import METRICS
from mmengine.logging import MMLogger, print_log
from numpy.typing import NDArray

from . import input_checks
from .coco_files import read_ground_truth
from .rankings import FIGURE_SUFFIXES
from .result import MaskScoringResult
from .shared_iou_eval import SharedIoUEval, recorded_evaluations

# Place of each figure in COCOeval.stats.
COCO_FIGURES = (
    *('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l'),
    *('AR@100', 'AR@300', 'AR@1000', 'AR_s@1000', 'AR_m@1000', 'AR_l@1000'),
)
# Fields of the predictions beside the host's, and their names in `Matches.scores`.
SCORE_NAMES = {
    'scores': 'score',
    'mask_scores': 'mask_score',
    'mask_ious': 'mask_iou',
    'mask_mean_probs': 'mask_mean_prob',
    'mask_stabilities': 'mask_stability',
    'uncalibrated_mask_ious': 'uncalibrated_mask_iou',
    'mask_agreements': 'mask_agreement',
}
_ADDED_FIELDS = tuple(SCORE_NAMES)[1:]
# Figures that need a field: NaN where its values are not finite.
_FIGURES_OF = {
    'mask_scores': (),  # CocoMetric's own `segm_...`
    'mask_ious': (
        *(f'segm_mAP_iou{suffix}' for suffix in FIGURE_SUFFIXES),
        *(f'mask_iou_{name}' for name in ('mae', 'rmse', 'pearson', 'spearman', 'ece')),
    ),
    'mask_mean_probs': tuple(f'segm_mAP_prob{suffix}' for suffix in FIGURE_SUFFIXES),
    'mask_stabilities': tuple(f'segm_mAP_stability{suffix}' for suffix in FIGURE_SUFFIXES),
    'uncalibrated_mask_ious': ('mask_iou_ece_uncalibrated',),
    'mask_agreements': (),  # in the table of matches alone
}


@METRICS.register_module()
class MaskScoringMetric(CocoMetric):
    """Computes `CocoMetric`'s figures, AP under other rankings, and the predicted IoU's quality.

    It returns everything that `CocoMetric` returns (boxes ranked by `scores`, masks by
    `mask_scores`), its AP and AR in full precision instead of three digits. It adds the following,
    with ``t`` the true IoU of a prediction: its largest mask IoU with a ground truth of its
    class in its image that is no crowd, 0 where there is none.

    - ``segm_mAP_cls``, ``segm_mAP_iou``, ``segm_mAP_oracle``: AP of the masks ranked by `scores`,
      by `mask_ious`, by `scores` x t; also with ``_50``, ``_75``, ``_s``, ``_m``, ``_l``.
      ``segm_mAP_unique`` ranks the best mask of each object by t and all others last: the most that
      any score could reach. ``segm_mAP_prob`` ranks by `scores` x `mask_mean_probs`, where a model
      gives the mean probability inside its masks; ``segm_mAP_stability`` by `scores` x
      `mask_stabilities`, the IoU of a mask cut at 0.3 and at 0.7;
    - ``mask_score_oracle_share``, ``mask_score_unique_share``, …: how far a ranking goes from the
      class score's AP to either ceiling's;
    - ``mask_iou_mae``, ``_rmse``, ``_pearson``, ``_spearman``: `mask_ious` against t;
    - ``cls_score_ece``, ``mask_iou_ece``: expected calibration error of `scores` and `mask_ious` as
      estimates of t; of a calibrated model also ``mask_iou_ece_uncalibrated``, what it was before.

    What is undefined is NaN (COCO's own figures keep its -1). A model without `mask_ious` gets
    everything that does not need them. Where nothing at all is detected, it returns just what
    `CocoMetric` returns. `mask_ious` or other added fields that are not finite make their own
    figures NaN, with a warning. The figures per class and per size are in `result`, after
    `compute_metrics`, on the main process.

    Args:
        ann_file: as in `CocoMetric`.
        metric: as in `CocoMetric`; has to include ``segm``.
        pairs_file: where to write the table of detections and their true IoU (`Matches`).
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
        try:
            super().__init__(ann_file=ann_file, metric=metrics, **kwargs)
        except (KeyError, TypeError, AssertionError, AttributeError, ValueError):
            if ann_file is not None and os.path.isfile(ann_file):
                read_ground_truth(ann_file)  # says what is wrong with the file
            raise
        if ann_file is not None and os.path.isfile(ann_file):
            _warn_of_problems(ann_file)
        # COCOeval finds 0.5 and 0.75 in an array only
        self.iou_thrs: NDArray = np.array(self.iou_thrs, dtype=float, ndmin=1)
        self.pairs_file = pairs_file
        self.bounded_scores = bounded_scores
        self.result: MaskScoringResult | None = None
        self._image_ids = None
        if self._coco_api is not None:
            self._image_ids = set(self._coco_api.get_img_ids())
            _number_texts(self._coco_api)

    @property
    def dataset_meta(self) -> dict | None:
        """The data set's `metainfo`; its classes are checked against the annotation file's."""
        meta: dict | None = self._dataset_meta
        return meta

    @dataset_meta.setter
    def dataset_meta(self, meta: dict) -> None:
        if self._image_ids is not None and not self.format_only and 'classes' in meta:
            input_checks.check_classes(
                meta['classes'], self._coco_api.dataset.get('categories', ())
            )
        self._dataset_meta = meta

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        first = len(self.results)
        added = [self._checked(sample) for sample in data_samples]
        super().process(data_batch, data_samples)
        for (_, prediction), values in zip(self.results[first:], added):
            prediction.update(values)

    def compute_metrics(self, results: list) -> dict[str, float]:
        """`CocoMetric`'s figures and this class's, without the prefix."""
        if not results:
            raise ValueError('no predictions to evaluate: the data set or the data loader is empty')
        predictions = [prediction for _, prediction in results]
        input_checks.check_every_image_once([item['img_id'] for item in predictions])
        input_checks.check_same_fields(predictions, _ADDED_FIELDS)
        columns = {
            name: _joined(predictions, name) for name in SCORE_NAMES if name in predictions[0]
        }
        unusable = [name for name, values in columns.items() if not np.isfinite(values).all()]
        for name in unusable:
            _warn(f'`{name}` holds values that are not finite: figures that need them are NaN')
            del columns[name]
        kept = [
            (gt, {key: value for key, value in item.items() if key not in unusable})
            for gt, item in results
        ]
        with recorded_evaluations() as evaluations:
            figures = super().compute_metrics(kept)
        if self.format_only:
            return figures
        nothing_detected = not len(columns['scores'])
        if nothing_detected:
            evaluations.append(self._evaluation_of_nothing())
        else:
            figures.update(_full_precision(figures, evaluations))
        self.result = self._result(_mask_evaluation(evaluations), predictions, columns)
        if self.pairs_file is not None:
            self.result.save(self.pairs_file)
        if nothing_detected:
            return figures
        MMLogger.get_current_instance().info('\n' + self.result.table(classwise=self.classwise))
        if 'mask_scores' in unusable:
            figures.update({name: np.nan for name in figures if name.startswith('segm_')})
        figures.update(_added_figures(self.result))
        figures.update({figure: np.nan for name in unusable for figure in _FIGURES_OF[name]})
        return figures

    def _checked(self, sample: Mapping[str, Any]) -> dict[str, NDArray]:
        """Refuses a sample that cannot be evaluated; the fields that CocoMetric does not keep."""
        classes = (self.dataset_meta or {}).get('classes')
        input_checks.check_prediction(
            sample,
            class_count=None if classes is None else len(classes),
            image_ids=self._image_ids,
        )
        values = {
            name: input_checks.checked_scores(sample, name, bounded=self.bounded_scores)
            for name in SCORE_NAMES
            if name in sample['pred_instances']
        }
        return {name: values[name] for name in _ADDED_FIELDS[1:] if name in values}

    def _evaluation_of_nothing(self) -> SharedIoUEval:
        """The evaluation of a data set without a single detection, which CocoMetric leaves out."""
        empty = COCO()
        empty.dataset = {**self._coco_api.dataset, 'annotations': []}
        empty.createIndex()
        evaluation = SharedIoUEval(self._coco_api, empty, 'segm')
        evaluation.params.catIds, evaluation.params.imgIds = self.cat_ids, self.img_ids
        evaluation.params.maxDets = list(self.proposal_nums)
        evaluation.params.iouThrs = self.iou_thrs
        evaluation.evaluate()
        evaluation.accumulate()
        return evaluation

    def _result(
        self,
        evaluation: SharedIoUEval,
        predictions: Sequence[Mapping[str, Any]],
        columns: Mapping[str, NDArray],
    ) -> MaskScoringResult:
        """The table of the evaluation, with the model's boxes and all its scores."""
        matches = evaluation.matches
        order = matches.result_index
        ranked_by = 'mask_scores' if 'mask_scores' in columns else 'scores'
        if not np.array_equal(matches.scores['host'], columns[ranked_by][order]):
            raise RuntimeError(
                'CocoMetric listed the masks in another order than it was given them'
            )
        matches = dataclasses.replace(
            matches,
            scores={SCORE_NAMES[name]: values[order] for name, values in columns.items()},
            box=_joined(predictions, 'bboxes').reshape(-1, 4)[order],
        )
        return MaskScoringResult.from_matches(matches, {SCORE_NAMES[ranked_by]: evaluation.ranked})


def _added_figures(result: MaskScoringResult) -> dict[str, float]:
    """Those that are not CocoMetric's own."""
    own = {f'segm_mAP{suffix}' for suffix in FIGURE_SUFFIXES}
    return {
        name: value
        for name, value in result.figures.items()
        if name not in own and not name.startswith('segm_AR')
    }


def _joined(predictions: Sequence[Mapping[str, Any]], name: str) -> NDArray[np.float64]:
    return np.concatenate([np.asarray(item[name], dtype=np.float64) for item in predictions])


def _number_texts(ground_truth: COCO) -> None:
    """Numbers annotations whose ids are texts: COCOeval keeps matched ids in arrays of floats."""
    annotations = ground_truth.dataset.get('annotations', ())
    if any(isinstance(annotation['id'], str) for annotation in annotations):
        for number, annotation in enumerate(annotations, 1):
            annotation['id'] = number
        ground_truth.anns = {annotation['id']: annotation for annotation in annotations}


def _warn(message: str) -> None:
    MMLogger.get_current_instance().warning(message)


def _mask_evaluation(evaluations: Sequence[COCOeval]) -> SharedIoUEval:
    for evaluation in evaluations:
        if isinstance(evaluation, SharedIoUEval):
            return evaluation
    raise RuntimeError(
        'this CocoMetric does not evaluate masks through its COCOeval; mmdet 3.0 to 3.3 '
        "and OneDL's 3.5 do: install one of them"
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


def _warn_of_problems(ann_file: str | os.PathLike) -> None:
    """Warns of a file that `read_ground_truth` refuses; CocoMetric may still finish with it."""
    try:
        read_ground_truth(ann_file)
    except ValueError as error:
        text = f'MaskScoringMetric goes on as CocoMetric does, but check the annotations: {error}'
        print_log(text, logger='current', level=logging.WARNING)
