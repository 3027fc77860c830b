"""What one evaluation found out, overall, by object size and by class."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from terminaltables import AsciiTable

from .calibration import IoUError, expected_calibration_error, iou_error
from .pairs import MaskScoringPairs
from .rankings import RankedAP

# The ranking by mask score is COCO's own `segm_mAP`.
HOST_RANKING = 'mask'


@dataclass(frozen=True)
class ScopeFigures:
    """The figures of one part of the detections: all of them, one object size or one class."""

    scope: str  # 'all', 'size' or 'class'
    name: str
    detections: int
    ap: Mapping[str, float]  # by ranking
    mean_true_iou: float
    mean_cls_score: float
    cls_score_ece: float
    mean_mask_iou: float | None  # None where the model predicts no IoU
    mask_iou: IoUError | None
    mask_iou_ece: float | None
    uncalibrated_iou_ece: float | None  # None where the predicted IoU is as the head gave it


@dataclass(frozen=True)
class MaskScoringResult:
    """AP of the same masks under each ranking, and the pairs of predicted and true MaskIoU.

    ``rankings`` has ``mask`` (by `mask_scores`), ``cls`` (`scores`), ``oracle`` (`scores` x true
    MaskIoU) and, where the model gives them, ``iou`` (`mask_ious`) and ``prob`` (`scores` x
    `mask_mean_probs`).
    """

    rankings: Mapping[str, RankedAP]
    pairs: MaskScoringPairs
    size_ranges: Mapping[str, tuple[float, float]]  # pixels, both ends included; `all` first

    @classmethod
    def from_pairs(
        cls, pairs: MaskScoringPairs, rankings: Mapping[str, RankedAP] | None = None
    ) -> MaskScoringResult:
        """The result that pairs with a basis hold; counts every ranking that is not given."""
        rankings = dict(rankings or {})
        for name, scores in pairs.ranking_scores().items():
            if name not in rankings:
                rankings[name] = pairs.rank(scores)
        sizes = zip(pairs.basis.size_names.tolist(), map(tuple, pairs.basis.size_ranges.tolist()))
        return cls(rankings=rankings, pairs=pairs, size_ranges=dict(sizes))

    def figures(self) -> dict[str, float]:
        """The flat figures that are not COCO's own; NaN where undefined."""
        figures = {
            f'segm_mAP_{name}{suffix}': value
            for name, ranking in self.rankings.items()
            if name != HOST_RANKING
            for suffix, value in ranking.figures().items()
        }
        overall = self.overall()
        figures['cls_score_ece'] = overall.cls_score_ece
        if overall.mask_iou is not None:
            for name in ('mae', 'rmse', 'pearson', 'spearman'):
                figures[f'mask_iou_{name}'] = getattr(overall.mask_iou, name)
            figures['mask_iou_ece'] = overall.mask_iou_ece
        if overall.uncalibrated_iou_ece is not None:
            figures['mask_iou_ece_uncalibrated'] = overall.uncalibrated_iou_ece
        return figures

    def overall(self) -> ScopeFigures:
        return self._figures('all', 'all', slice(None))

    def by_size(self) -> list[ScopeFigures]:
        """As in COCO: ground truth by its annotated area, a detection by the area of its mask."""
        area = self.pairs.area
        return [
            self._figures('size', size, (area >= low) & (area <= high), size=size)
            for size, (low, high) in self.size_ranges.items()
            if size != 'all'
        ]

    def by_class(self) -> list[ScopeFigures]:
        pairs = self.pairs
        return [
            self._figures(
                'class', str(name), pairs.category_id == category, category_id=int(category)
            )
            for category, name in zip(pairs.category_ids, pairs.category_names)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Everything but the pairs, fit for JSON: NaN becomes None."""
        scopes = [self.overall(), *self.by_size(), *self.by_class()]
        return _without_nan(
            {
                'figures': self.figures(),
                'scopes': [asdict(scope) for scope in scopes],
                'iou_thresholds': self.rankings[HOST_RANKING].iou_thresholds.tolist(),
                'ap_by_iou': {
                    name: ranking.ap_by_iou().tolist() for name, ranking in self.rankings.items()
                },
            }
        )

    def table(self, *, classwise: bool = False) -> str:
        """A table for the terminal, one line a scope."""
        rows = [self.overall(), *self.by_size(), *(self.by_class() if classwise else ())]
        head = ['masks', 'number', *(f'AP by {name}' for name in self.rankings), 'ECE cls']
        if self.pairs.predicted_iou is not None:
            head += ['ECE IoU', 'MAE', 'RMSE', 'Pearson', 'Spearman']
        if self.pairs.uncalibrated_iou is not None:
            head += ['ECE uncalibrated']
        return AsciiTable([head, *map(_table_row, rows)]).table

    def _figures(self, scope: str, name: str, members: Any, **choice: Any) -> ScopeFigures:
        pairs = self.pairs
        true_iou = pairs.true_iou[members]
        predicted, uncalibrated = (
            None if ious is None else ious[members]
            for ious in (pairs.predicted_iou, pairs.uncalibrated_iou)
        )
        return ScopeFigures(
            scope=scope,
            name=name,
            detections=len(true_iou),
            ap={key: ranking.ap(**choice) for key, ranking in self.rankings.items()},
            mean_true_iou=_mean(true_iou),
            mean_cls_score=_mean(pairs.box_score[members]),
            cls_score_ece=_ece_or_nan(pairs.box_score[members], true_iou),
            mean_mask_iou=None if predicted is None else _mean(predicted),
            mask_iou=None if predicted is None else iou_error(predicted, true_iou),
            mask_iou_ece=None if predicted is None else _ece_or_nan(predicted, true_iou),
            uncalibrated_iou_ece=(
                None if uncalibrated is None else _ece_or_nan(uncalibrated, true_iou)
            ),
        )


def _mean(values: NDArray) -> float:
    return float(values.mean()) if len(values) else float('nan')


def _ece_or_nan(estimate: NDArray, true_iou: NDArray) -> float:
    """Scores outside [0, 1] estimate no IoU."""
    if np.any((estimate < 0) | (estimate > 1)):
        return float('nan')
    return expected_calibration_error(estimate, true_iou)


def _table_row(figures: ScopeFigures) -> list[str]:
    values = [*figures.ap.values(), figures.cls_score_ece]
    if figures.mask_iou is not None:
        error = figures.mask_iou
        values += [figures.mask_iou_ece, error.mae, error.rmse, error.pearson, error.spearman]
    if figures.uncalibrated_iou_ece is not None:
        values += [figures.uncalibrated_iou_ece]
    cells = ['-' if math.isnan(value) else f'{value:.3f}' for value in values]
    return [figures.name, str(figures.detections), *cells]


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
