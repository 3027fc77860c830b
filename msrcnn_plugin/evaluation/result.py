"""What one evaluation found out, overall, by object size and by class."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .detection_errors import localisation_aware_ece, optimal_lrp
from .matches import FACTORS, Matches
from .rankings import RankedAP
from .reliability import IoUError, expected_calibration_error, iou_error

# Rankings in the order in which they are listed, and their names in figures: `segm_mAP_cls`.
FIGURE_NAMES = {
    'score': '_cls',
    'mask_iou': '_iou',
    'prob': '_prob',
    'stability': '_stability',
    'mask_score': '',
    'oracle': '_oracle',
    'unique': '_unique',
}
CEILINGS = ('oracle', 'unique')
# Figures of scores as estimates of the true IoU: calibration error, and error and correlation.
_ECE_NAMES = {
    'score': 'cls_score_ece',
    'mask_iou': 'mask_iou_ece',
    'uncalibrated_mask_iou': 'mask_iou_ece_uncalibrated',
}
_ERRORS = ('mae', 'rmse', 'pearson', 'spearman')


@dataclass(frozen=True)
class ScoreQuality:
    """A score as an estimate of the true IoU; NaN where undefined."""

    mean: float
    ece: float  # NaN where a value lies outside [0, 1]
    error: IoUError


@dataclass(frozen=True)
class ScopeFigures:
    """The figures of one part of the detections: all of them, one object size or one class."""

    scope: str  # 'all', 'size' or 'class'
    name: str
    detections: int
    mean_true_iou: float
    ap: Mapping[str, float]  # by ranking
    quality: Mapping[str, ScoreQuality]  # by score


@dataclass(frozen=True)
class MaskScoringResult:
    """AP of the same masks under each ranking, and the table of matches that it follows from.

    ``rankings`` holds ``score`` (class score), each other score that the model gives, the rankings
    that `Matches.ranking_scores` derives (``prob`` and ``stability`` where there is what they need,
    ``oracle``, ``unique``), in the order of `FIGURE_NAMES`. ``boundary`` is the same by boundary
    IoU, where `evaluate_coco` was asked for it; `save` leaves it out.
    """

    matches: Matches
    rankings: Mapping[str, RankedAP]
    boundary: MaskScoringResult | None = None

    @classmethod
    def from_matches(
        cls, matches: Matches, rankings: Mapping[str, RankedAP] | None = None
    ) -> MaskScoringResult:
        """Ranks the matches by all their scores; a ranking that is given is not counted again."""
        known = dict(rankings or {})
        names = set(matches.scores) - {*FACTORS.values(), 'uncalibrated_mask_iou'}
        names |= {*CEILINGS, *(name for name, key in FACTORS.items() if key in matches.scores)}
        listed = [name for name in FIGURE_NAMES if name in names]
        others = [name for name in matches.scores if name in names and name not in FIGURE_NAMES]
        listed[-2:-2] = others
        return cls(matches, {name: known.get(name) or matches.rank(name) for name in listed})

    @classmethod
    def from_pairs(cls, pairs: Matches) -> MaskScoringResult:
        """`from_matches` by its former name, for one version."""
        _warn_renamed('from_pairs', 'from_matches')
        return cls.from_matches(pairs)

    @property
    def pairs(self) -> Matches:
        """``matches`` by its former name, for one version."""
        _warn_renamed('pairs', 'matches')
        return self.matches

    @property
    def main_ranking(self) -> str:
        """The mask score where the model gives one, else the class score."""
        return 'mask_score' if 'mask_score' in self.rankings else 'score'

    @cached_property
    def figures(self) -> dict[str, float]:
        """All figures by their flat names; NaN where undefined.

        ``segm_mAP`` and ``segm_AR`` are those of `main_ranking`.
        """
        recalls = self.rankings[self.main_ranking].recalls()
        figures = {**self._ap_figures('segm'), **{f'segm_{k}': v for k, v in recalls.items()}}
        for name, quality in self.overall().quality.items():
            if name in ('mask_score', *FACTORS.values()):  # rankings, which claim to be no IoU
                continue
            figures[_ECE_NAMES.get(name, f'{name}_ece')] = quality.ece
            if name not in ('score', 'uncalibrated_mask_iou'):
                figures.update({f'{name}_{key}': getattr(quality.error, key) for key in _ERRORS})
        for name, shares in self.headroom().items():
            figures.update({f'{name}_{ceiling}_share': value for ceiling, value in shares.items()})
        if self.boundary is not None:
            figures.update(self.boundary._ap_figures('boundary'))
            figures['mean_boundary_iou'] = self.boundary.mean_best_iou
        return figures

    def _ap_figures(self, prefix: str) -> dict[str, float]:
        """AP of the main ranking without a name, then of each ranking but the mask score."""
        shown = [('', self.rankings[self.main_ranking])]
        shown += [
            (FIGURE_NAMES.get(name, f'_{name}'), ranking)
            for name, ranking in self.rankings.items()
            if name != 'mask_score'
        ]
        return {
            f'{prefix}_mAP{short}{suffix}': value
            for short, ranking in shown
            for suffix, value in ranking.figures().items()
        }

    @property
    def mean_best_iou(self) -> float:
        """Mean true IoU of the best mask of each object that has one; NaN where none has."""
        return _mean(self.matches.true_iou[self.matches.is_best_of_object])

    @cached_property
    def detection_errors(self) -> dict[str, dict[str, float]]:
        """oLRP with its three parts, and LaECE, at IoU 0.5, by ranking; NaN where undefined.

        Empty where the matches begin above IoU 0.5.
        """
        if self.matches.protocol.iou_thresholds.min() > 0.5:
            return {}
        errors = {}
        for name in self.rankings:
            scores = self.matches.ranking_scores(name)
            lrp = optimal_lrp(self.matches, scores)
            fits = scores.min(initial=0) >= 0 and scores.max(initial=0) <= 1
            errors[name] = dict(
                olrp=lrp.error,
                olrp_localisation=lrp.localisation,
                olrp_false_positives=lrp.false_positives,
                olrp_false_negatives=lrp.false_negatives,
                laece=localisation_aware_ece(self.matches, scores) if fits else math.nan,
            )
        return errors

    def headroom(self) -> dict[str, dict[str, float]]:
        """How far each ranking goes from the class score's AP (0) to each ceiling's (1).

        ``(AP - AP by class score) / (AP of the ceiling - AP by class score)``, by ranking and
        ceiling; NaN where the ceiling is no higher.
        """
        ap = {name: ranking.ap() for name, ranking in self.rankings.items()}
        room = {ceiling: ap[ceiling] - ap['score'] for ceiling in CEILINGS}
        return {
            name: {
                ceiling: (value - ap['score']) / room[ceiling] if room[ceiling] > 0 else math.nan
                for ceiling in CEILINGS
            }
            for name, value in ap.items()
            if name not in ('score', *CEILINGS)
        }

    def overall(self) -> ScopeFigures:
        return self._scope('all', 'all', slice(None))

    def by_size(self) -> list[ScopeFigures]:
        """As in COCO: ground truth by its annotated area, a detection by the area of its mask."""
        protocol, area = self.matches.protocol, self.matches.area
        return [
            self._scope('size', size, (area >= low) & (area <= high), size=size)
            for size, (low, high) in zip(protocol.area_names, protocol.area_ranges)
            if size != 'all'
        ]

    def by_class(self) -> list[ScopeFigures]:
        matches = self.matches
        return [
            self._scope('class', name, matches.category == index, category_id=identity)
            for index, (identity, name) in enumerate(
                zip(matches.category_ids, matches.category_names)
            )
        ]

    def save(self, path: str | os.PathLike) -> None:
        """Writes the matches, from which `load` makes the result again, as ``.npz``."""
        self.matches.save(path)

    @classmethod
    def load(cls, path: str | os.PathLike) -> MaskScoringResult:
        """Reads a file that `save` or ``MaskScoringMetric(pairs_file=...)`` wrote."""
        return cls.from_matches(Matches.load(path))

    def to_dict(self) -> dict[str, Any]:
        """Everything but the matches, fit for JSON: NaN becomes None."""
        scopes = [self.overall(), *self.by_size(), *self.by_class()]
        return _without_nan(
            {
                'figures': self.figures,
                'headroom': self.headroom(),
                'detection_errors': self.detection_errors,
                'scopes': [asdict(scope) for scope in scopes],
                'iou_thresholds': self.matches.protocol.iou_thresholds.tolist(),
                'ap_by_iou': {
                    name: ranking.ap_by_iou().tolist() for name, ranking in self.rankings.items()
                },
            }
        )

    def table(self, *, classwise: bool = False) -> str:
        """A table for the terminal, one line a scope."""
        rows = [self.overall(), *self.by_size(), *(self.by_class() if classwise else ())]
        head = ['masks', 'number', *(f'AP by {name}' for name in self.rankings)]
        head += [f'ECE {name}' for name in rows[0].quality]
        with_error = [name for name in ('mask_iou',) if name in rows[0].quality]
        head += ['MAE', 'RMSE', 'Pearson', 'Spearman'] * len(with_error)
        lines = [head]
        for row in rows:
            values = [*row.ap.values(), *(quality.ece for quality in row.quality.values())]
            for name in with_error:
                values += [getattr(row.quality[name].error, key) for key in _ERRORS]
            cells = ['-' if math.isnan(value) else f'{value:.3f}' for value in values]
            lines.append([row.name, str(row.detections), *cells])
        widths = [max(map(len, column)) for column in zip(*lines)]
        return '\n'.join(
            '  '.join(cell.rjust(width) for cell, width in zip(line, widths)) for line in lines
        )

    def _scope(self, scope: str, name: str, members: Any, **choice: Any) -> ScopeFigures:
        true_iou = self.matches.true_iou[members]
        return ScopeFigures(
            scope=scope,
            name=name,
            detections=len(true_iou),
            mean_true_iou=_mean(true_iou),
            ap={key: ranking.ap(**choice) for key, ranking in self.rankings.items()},
            quality={
                key: ScoreQuality(
                    mean=_mean(values[members]),
                    ece=_ece_or_nan(values[members], true_iou),
                    error=iou_error(values[members], true_iou),
                )
                for key, values in self.matches.scores.items()
            },
        )


def _warn_renamed(former: str, name: str) -> None:
    warnings.warn(f'MaskScoringResult.{former} is now {name}', DeprecationWarning, stacklevel=3)


def _mean(values: NDArray) -> float:
    return float(values.mean()) if len(values) else float('nan')


def _ece_or_nan(estimate: NDArray, true_iou: NDArray) -> float:
    """Scores outside [0, 1] estimate no IoU."""
    if np.any((estimate < 0) | (estimate > 1)):
        return float('nan')
    return expected_calibration_error(estimate, true_iou)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
