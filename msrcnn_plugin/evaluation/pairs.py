"""The pairs of predicted and true MaskIoU of a data set, and the file that keeps them."""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORMAT = 1
_OPTIONAL = ('predicted_iou',)
_PER_CATEGORY = ('category_ids', 'category_names')


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
        return {name: value for name, value in values.items() if value is not None}

    def save(self, path: str | os.PathLike) -> None:
        """Writes one compressed ``.npz``; the file appears whole or not at all."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f'.{path.name}.{os.getpid()}.partial')
        try:
            with open(partial, 'wb') as stream:
                np.savez_compressed(stream, format=FORMAT, **self._arrays())
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | os.PathLike) -> MaskScoringPairs:
        """Reads what `save` wrote; runs nothing that the file might carry."""
        arrays = _read(Path(path))
        found = arrays.pop('format', None)
        names = [field.name for field in fields(cls)]
        missing = [name for name in names if name not in arrays and name not in _OPTIONAL]
        if found is None or missing:
            lacks = ', '.join(['format'] * (found is None) + missing)
            raise ValueError(f'{path} holds no mask scoring pairs: it lacks {lacks}. {_ADVICE}')
        if int(found) != FORMAT:
            raise ValueError(f'{path} has format {int(found)}, expected {FORMAT}. {_ADVICE}')
        return cls(**{name: arrays.get(name) for name in names})


_ADVICE = 'Write the file anew with MaskScoringMetric(pairs_file=...).'


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f'no pairs file at {path}. {_ADVICE}')
    try:
        with open(path, 'rb') as stream, np.load(stream, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, AttributeError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f'{path} is no readable pairs file ({error}). {_ADVICE}') from error
