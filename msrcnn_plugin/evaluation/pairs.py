"""The pairs of predicted and true MaskIoU of a data set, and the file that keeps them."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools.cocoeval import Params

from ..files import atomic_write
from .matching import Overlaps
from .ranking_basis import RankingBasis
from .rankings import RankedAP, rank_masks

FORMAT = 1
_OPTIONAL = ('predicted_iou', 'mean_prob', 'uncalibrated_iou')
_PER_CATEGORY = ('category_ids', 'category_names')
_BASIS = 'basis_'  # before the names of the basis' arrays in a file
_OPTIONAL_BASIS = ('truth_image',)


@dataclass(frozen=True)
class MaskScoringPairs:
    """One entry a detection (``N``), in the order in which the model gave them.

    Scores and IoUs lie in [0, 1], boxes are x1, y1, x2, y2 in pixels of the original image.
    """

    image_id: NDArray  # (N,) as in the annotation file
    category_id: NDArray[np.int64]  # (N,)
    box_score: NDArray[np.float64]  # (N,) `scores`
    mask_score: NDArray[np.float64]  # (N,) what mask AP ranks by
    predicted_iou: NDArray[np.float64] | None  # (N,), None where the model predicts none
    true_iou: NDArray[np.float64]  # (N,)
    area: NDArray[np.float64]  # (N,) of the mask, pixels
    box: NDArray[np.float64]  # (N, 4)
    category_ids: NDArray[np.int64]  # (K,) every category of the data set
    category_names: NDArray[np.str_]  # (K,)
    mean_prob: NDArray[np.float64] | None = None  # (N,) mean probability inside the mask, if given
    uncalibrated_iou: NDArray[np.float64] | None = None  # (N,) where predicted_iou is calibrated
    basis: RankingBasis | None = None  # what `rank` needs

    def __post_init__(self) -> None:
        lengths = {name: len(value) for name, value in self._arrays().items()}
        per_category = {lengths.pop(name) for name in _PER_CATEGORY}
        if len(set(lengths.values())) > 1 or len(per_category) > 1:
            raise ValueError(
                f'pairs of different lengths: {lengths}, categories {sorted(per_category)}; '
                'every array must have one entry a detection (or a category)'
            )

    def __len__(self) -> int:
        return len(self.true_iou)

    def _arrays(self) -> dict[str, NDArray]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}

    @property
    def model_iou(self) -> NDArray[np.float64] | None:
        """The predicted IoU (N,) as the head gave it, calibrated or not; None without a head."""
        return self.predicted_iou if self.uncalibrated_iou is None else self.uncalibrated_iou

    def ranking_scores(self) -> dict[str, NDArray[np.float64]]:
        """The scores (N,) of each ranking that `MaskScoringResult` knows and the model gives."""
        # A calibration keeps the order but for ties that it makes by rounding.
        scores = {'mask': self.mask_score, 'cls': self.box_score, 'iou': self.model_iou}
        if self.mean_prob is not None:
            scores['prob'] = self.box_score * self.mean_prob
        scores['oracle'] = self.box_score * self.true_iou
        return {name: values for name, values in scores.items() if values is not None}

    def rank(self, scores: NDArray) -> RankedAP:
        """AP of the same masks ranked by ``scores`` (N,), finite: no mask is read for it."""
        overlaps, params = self.overlaps()
        scores = np.asarray(scores, dtype=float)
        if scores.shape != (len(self),) or not np.isfinite(scores).all():
            raise ValueError(
                f'scores of shape {scores.shape}, {int((~np.isfinite(scores)).sum())} of them not '
                f'finite; expected shape ({len(self)},): a finite score for each detection'
            )
        return rank_masks(overlaps, scores[self.basis.place], params)

    def overlaps(self) -> tuple[Overlaps, Params]:
        """How the masks meet the objects, detections in COCO's order, and the protocol."""
        if self.basis is None:
            raise ValueError(
                f'these pairs do not say which mask meets which object, so no AP follows. {_ADVICE}'
            )
        params = self.basis.params(self.category_ids)
        overlaps = self.basis.overlaps(
            category_index=np.searchsorted(params.catIds, self.category_id),
            mask_score=self.mask_score,
            area=self.area,
            true_iou=self.true_iou,
        )
        return overlaps, params

    def save(self, path: str | os.PathLike) -> None:
        """Writes one compressed ``.npz``; the file appears whole or not at all."""
        arrays = self._arrays()
        if self.basis is not None:
            basis = {_BASIS + name: value for name, value in vars(self.basis).items()}
            arrays.update({name: value for name, value in basis.items() if value is not None})
        with atomic_write(path) as stream:
            np.savez_compressed(stream, format=FORMAT, **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike) -> MaskScoringPairs:
        """Reads what `save` wrote; runs nothing that the file might carry."""
        arrays = _read(Path(path))
        found = arrays.pop('format', None)
        names = [field.name for field in fields(cls) if field.name != 'basis']
        missing = [name for name in names if name not in arrays and name not in _OPTIONAL]
        if found is None or missing:
            lacks = ', '.join(['format'] * (found is None) + missing)
            raise ValueError(f'{path} holds no mask scoring pairs: it lacks {lacks}. {_ADVICE}')
        if int(found) != FORMAT:
            raise ValueError(f'{path} has format {int(found)}, expected {FORMAT}. {_ADVICE}')
        return cls(**{name: arrays.get(name) for name in names}, basis=_basis(arrays))


_ADVICE = 'Write the file anew with MaskScoringMetric(pairs_file=...).'


def _basis(arrays: Mapping[str, NDArray]) -> RankingBasis | None:
    """None in a file that was written before there was one."""
    names = [field.name for field in fields(RankingBasis)]
    kept = {name: arrays[_BASIS + name] for name in names if _BASIS + name in arrays}
    if any(name not in kept and name not in _OPTIONAL_BASIS for name in names):
        return None
    return RankingBasis(**kept)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f'no pairs file at {path}. {_ADVICE}')
    try:
        with open(path, 'rb') as stream, np.load(stream, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, AttributeError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f'{path} is no readable pairs file ({error}). {_ADVICE}') from error
