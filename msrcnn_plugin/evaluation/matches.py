"""Which detection meets which object, as one table: all that AP under any ranking needs to know.

Shapes: ``N`` detections and ``G`` ground truths of a data set of ``B`` images and ``K`` categories,
``P`` pairs of them that COCO's rule could match, ``I`` IoU thresholds, ``R`` recall thresholds,
``A`` object sizes, ``M`` limits on the detections of a category in an image.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .assignment import assign, rank_in_group
from .bootstrap import BootstrapGain, bootstrap_gain
from .rankings import RankedAP, rank_matches

# Scores that `rank` makes of others; every other name is one of `Matches.scores`.
DERIVED = ('prob', 'stability', 'oracle', 'unique')
# Of a derived score, what the class score is multiplied by.
FACTORS = {'prob': 'mask_mean_prob', 'stability': 'mask_stability'}
# Scores by their names in the former `MaskScoringPairs` and its files.
FORMER_SCORES = {
    'box_score': 'score',
    'predicted_iou': 'mask_iou',
    'mean_prob': 'mask_mean_prob',
    'uncalibrated_iou': 'uncalibrated_mask_iou',
    'mask_score': 'mask_score',
}
WRITE_AGAIN = 'Write the file again with MaskScoringMetric(pairs_file=...).'


@dataclass(frozen=True)
class Protocol:
    """COCO's evaluation parameters; the defaults are pycocotools' own."""

    iou_thresholds: NDArray[np.float64] = field(default_factory=lambda: np.linspace(0.5, 0.95, 10))
    recall_thresholds: NDArray[np.float64] = field(default_factory=lambda: np.linspace(0, 1, 101))
    area_names: tuple[str, ...] = ('all', 'small', 'medium', 'large')
    # (A, 2) pixels, both ends included
    area_ranges: NDArray[np.float64] = field(
        default_factory=lambda: np.array([(0, 1e10), (0, 32**2), (32**2, 96**2), (96**2, 1e10)])
    )
    max_dets: tuple[int, ...] = (1, 10, 100)


@dataclass(frozen=True)
class Matches:
    """Detections with their scores and their true IoU, the objects, and how the two overlap.

    The detections stand in COCO's order: images ascending, categories ascending within an image,
    and within both as the results list them, which is how COCO orders equal scores. With 5000
    images of 100 detections the table takes some 30 MB; the masks it stands for take several GB.
    """

    image_ids: tuple[Any, ...]  # (B,) as annotated, integers of any size or strings, ascending
    category_ids: tuple[Any, ...]  # (K,) ascending
    category_names: tuple[str, ...]  # (K,)
    image: NDArray[np.int64]  # (N,) index into `image_ids`
    category: NDArray[np.int64]  # (N,) index into `category_ids`
    scores: Mapping[str, NDArray[np.float64]]  # (N,) each, by its key in a results file
    true_iou: NDArray[np.float64]  # (N,) in [0, 1]
    best_gt: NDArray[
        np.int64
    ]  # (N,) index of the ground truth of `true_iou`, -1 where there is none
    area: NDArray[np.float64]  # (N,) of the mask, pixels
    box: NDArray[np.float64]  # (N, 4) x1, y1, x2, y2 in pixels of the image
    result_index: NDArray[np.int64]  # (N,) place in the results as they were listed
    gt_image: NDArray[np.int64]  # (G,) index into `image_ids`, -1 where an older file has none
    gt_category: NDArray[np.int64]  # (G,) index into `category_ids`
    gt_area: NDArray[np.float64]  # (G,) as annotated, pixels
    gt_crowd: NDArray[np.bool_]  # (G,)
    gt_id_is_zero: NDArray[np.bool_]  # (G,) pycocotools takes id 0 for "not matched"
    pair_detection: NDArray[np.int64]  # (P,) index into the detections
    pair_gt: NDArray[np.int64]  # (P,) index into the ground truths
    pair_iou: NDArray[np.float64]  # (P,) at least the lowest IoU threshold
    protocol: Protocol = field(default_factory=Protocol)
    # LVIS: (K,) how frequent a category is, elsewhere empty; (N,) whether the image's annotations
    # of the category are incomplete, so that a detection without an object counts as nothing.
    frequencies: tuple[str, ...] = ()
    not_exhaustive: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))

    def __post_init__(self) -> None:
        scores = {name: np.asarray(values, float) for name, values in self.scores.items()}
        object.__setattr__(self, 'scores', scores)
        if not len(self.not_exhaustive):
            object.__setattr__(self, 'not_exhaustive', np.zeros(len(self.true_iou), dtype=bool))
        columns = {f.name: getattr(self, f.name) for f in fields(self)}
        lengths = {n: len(value) for n, value in columns.items() if isinstance(value, np.ndarray)}
        for names in (
            [n for n in lengths if not n.startswith(('gt_', 'pair_'))],
            [n for n in lengths if n.startswith('gt_')],
            [n for n in lengths if n.startswith('pair_')],
        ):
            found = {name: lengths[name] for name in names}
            if 'true_iou' in found:
                found.update({name: len(values) for name, values in scores.items()})
            if len(set(found.values())) > 1:
                raise ValueError(f'columns of different lengths: {found}; expected one entry each')
        if len(self.category_ids) != len(self.category_names):
            raise ValueError(
                f'{len(self.category_ids)} category ids, {len(self.category_names)} names'
            )

    def __len__(self) -> int:
        return len(self.true_iou)

    def __getattr__(self, name: str) -> Any:
        """Scores by their names in the former `MaskScoringPairs`, for one version."""
        if name not in FORMER_SCORES:
            raise AttributeError(f'Matches has no attribute {name!r}')
        new = FORMER_SCORES[name]
        warnings.warn(
            f"`{name}` is now `scores[{new!r}]`, and detections stand in COCO's order, no longer "
            'in that of the results (see `result_index`)',
            DeprecationWarning,
            stacklevel=2,
        )
        return self.scores.get(new)

    @property
    def group(self) -> NDArray[np.int64]:
        """(N,) ascending number of each detection's image and category."""
        return self.image * max(len(self.category_ids), 1) + self.category

    @property
    def head_iou(self) -> NDArray[np.float64] | None:
        """The predicted IoU (N,) before any calibration, None without a MaskIoU head."""
        return self.scores.get('uncalibrated_mask_iou', self.scores.get('mask_iou'))

    @property
    def is_best_of_object(self) -> NDArray[np.bool_]:
        """(N,) True for the detection of largest true IoU of each object; of equals the first."""
        order = np.lexsort((np.arange(len(self)), -self.true_iou, self.best_gt))
        first = np.diff(self.best_gt[order], prepend=-1) > 0
        best = np.zeros(len(self), dtype=bool)
        best[order[first]] = True
        return best

    @property
    def on_crowd(self) -> NDArray[np.bool_]:
        """(N,) True where a crowd, and no object, is matched; COCO's evaluation ignores these."""
        crowd, other = np.zeros((2, len(self)), dtype=bool)
        is_crowd = self.gt_crowd[self.pair_gt]
        crowd[self.pair_detection[is_crowd]] = True
        other[self.pair_detection[~is_crowd]] = True
        return crowd & ~other

    def ranking_scores(self, name: str) -> NDArray[np.float64]:
        """What a ranking sorts the detections by, (N,).

        ``prob`` is the class score times the mean mask probability, ``stability`` the class score
        times the mask's stability, ``oracle`` the class score times the true IoU. ``unique`` is the
        true IoU for the best detection of each object and 0 for all others: the most that any score
        could reach. ``mask_iou`` is the predicted IoU as the head gave it; a calibration keeps the
        order, but rounding makes ties. Any other name is a key of `scores`.
        """
        if name in FACTORS:
            return self.scores['score'] * self.scores[FACTORS[name]]
        if name == 'oracle':
            return self.scores['score'] * self.true_iou
        if name == 'unique':
            return np.where(self.is_best_of_object, self.true_iou, 0.0)
        if name == 'mask_iou' and self.head_iou is not None:
            return self.head_iou
        if name not in self.scores:
            raise ValueError(
                f'there is no score {name!r}; there are {", ".join([*self.scores, *DERIVED[2:]])}'
            )
        return self.scores[name]

    def rank(self, scores: str | ArrayLike) -> RankedAP:
        """AP of the same masks under another ranking; no mask is read for it.

        Args:
            scores: a name that `ranking_scores` takes, or one finite number a detection, (N,).
        """
        return rank_matches(self, self.checked(scores))

    def matched_share(self, scores: str | ArrayLike) -> NDArray[np.float64]:
        """The share of the IoU thresholds at which each detection is an object's match, (N,).

        It is what a detection adds to AP in this order: a duplicate of a better-ranked match adds
        nothing, whatever its IoU.

        Args:
            scores: as of `rank`.
        """
        limit, protocol = max(self.protocol.max_dets), self.protocol
        ranks = rank_in_group(self.checked(scores), self.group)
        found = assign(self, ranks, protocol.iou_thresholds, protocol.area_ranges[:1], limit)
        share: NDArray[np.float64] = ((found.pair[0] >= 0) & ~found.ignored[0]).mean(axis=0)
        return share

    def bootstrap(
        self,
        scores: str | ArrayLike = 'mask_score',
        baseline: str | ArrayLike = 'score',
        **options: Any,
    ) -> BootstrapGain:
        """`bootstrap_gain` of these matches: AP by ``scores`` minus AP by ``baseline``."""
        return bootstrap_gain(self, scores, baseline, **options)

    def checked(self, scores: str | ArrayLike) -> NDArray[np.float64]:
        """The scores (N,) of a ranking; a ValueError where they rank nothing."""
        if not len(self.protocol.iou_thresholds):
            raise ValueError(
                'this file does not say which mask meets which object, so no AP follows. '
                + WRITE_AGAIN
            )
        values = np.asarray(
            self.ranking_scores(scores) if isinstance(scores, str) else scores, dtype=float
        )
        if values.shape != (len(self),) or not np.isfinite(values).all():
            raise ValueError(
                f'scores of shape {values.shape}, {int((~np.isfinite(values)).sum())} of them not '
                f'finite; expected shape ({len(self)},): a finite score for each detection'
            )
        return values

    def save(self, path: str | os.PathLike) -> None:
        """Writes one compressed ``.npz``; the file appears whole or not at all."""
        from .matches_file import write_matches

        write_matches(path, self)

    @classmethod
    def load(cls, path: str | os.PathLike) -> Matches:
        """Reads what `save`, or an earlier version, wrote; runs nothing that the file may carry."""
        from .matches_file import read_matches

        return read_matches(path)
