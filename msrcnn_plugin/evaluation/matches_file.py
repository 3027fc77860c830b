"""The file of `Matches`: one ``.npz``. Files of the former `MaskScoringPairs` are read as well."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..files import atomic_write
from .matches import FORMER_SCORES, WRITE_AGAIN, Matches, Protocol

FORMAT = 2
# Ids keep their type, whatever it is.
_AS_JSON = ('image_ids', 'category_ids', 'category_names', 'frequencies')
_SCORES = 'scores'
# Added to format 2: of what a file lacks the default holds.
_OPTIONAL = ('frequencies', 'not_exhaustive')
# Format 1.
_FORMER_REQUIRED = (
    *('image_id', 'category_id', 'box_score', 'mask_score', 'true_iou', 'area', 'box'),
    *('category_ids', 'category_names'),
)
_FORMER_BASIS = 'basis_'


def write_matches(path: str | os.PathLike, matches: Matches) -> None:
    """Writes the table; the file appears whole or not at all."""
    columns: dict[str, Any] = {f.name: getattr(matches, f.name) for f in fields(matches)}
    protocol, scores = columns.pop('protocol'), columns.pop(_SCORES)
    for name in _AS_JSON:
        columns[name] = json.dumps(list(columns[name]))
    columns['score_names'] = json.dumps(list(scores))
    columns[_SCORES] = np.array([*scores.values()]).reshape(len(scores), len(matches))
    with atomic_write(path) as stream:
        np.savez_compressed(stream, format=FORMAT, **columns, **vars(protocol))


def read_matches(path: str | os.PathLike) -> Matches:
    """Reads a table of this version or of an earlier one."""
    columns = _read(Path(path))
    number = columns.pop('format', None)
    if number is not None and int(number) == 1:
        _check_complete(path, columns, _FORMER_REQUIRED)
        return _former(columns)
    names = [f.name for f in fields(Matches) if f.name != 'protocol']
    protocol_names = [f.name for f in fields(Protocol)]
    if number is not None and int(number) != FORMAT:
        raise ValueError(
            f'{path} has format {int(number)}, expected {FORMAT} or 1: it was written by another '
            'version of this plugin; install that one'
        )
    required = [name for name in names if name not in _OPTIONAL]
    _check_complete(path, columns, (*required, 'score_names', *protocol_names), number)
    for name in set(_AS_JSON) & set(columns):
        columns[name] = tuple(json.loads(str(columns[name])))
    columns[_SCORES] = dict(zip(json.loads(str(columns['score_names'])), columns[_SCORES]))
    return Matches(
        **{name: columns[name] for name in names if name in columns},
        protocol=_protocol({name: columns[name] for name in protocol_names}),
    )


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f'no pairs file at {path}. {WRITE_AGAIN}')
    try:
        with open(path, 'rb') as stream, np.load(stream, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, AttributeError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f'{path} is no readable pairs file ({error}). {WRITE_AGAIN}') from error


def _check_complete(path: Any, columns: dict, names: tuple[str, ...], number: Any = 1) -> None:
    missing = ['format'] * (number is None) + [name for name in names if name not in columns]
    if missing:
        raise ValueError(f'{path} holds no matches: it lacks {", ".join(missing)}. {WRITE_AGAIN}')


def _protocol(columns: dict[str, NDArray]) -> Protocol:
    return Protocol(
        iou_thresholds=columns['iou_thresholds'],
        recall_thresholds=columns['recall_thresholds'],
        area_names=tuple(map(str, columns['area_names'])),
        area_ranges=columns['area_ranges'],
        max_dets=tuple(map(int, columns['max_dets'])),
    )


def _former(columns: dict[str, NDArray]) -> Matches:
    """A table of format 1. It may lack the images of the objects, or all about the objects.

    Objects that a detection meets below the lowest IoU threshold are not known there: `best_gt` is
    -1 for such a detection.
    """
    count = len(columns['true_iou'])
    basis = {
        name.removeprefix(_FORMER_BASIS): value
        for name, value in columns.items()
        if name.startswith(_FORMER_BASIS)
    }
    order = basis.get('place', np.arange(count))
    category_ids = np.unique(columns['category_ids'])
    names = dict(zip(columns['category_ids'].tolist(), columns['category_names'].tolist()))
    gt_image = basis.get('truth_image')
    listed = [ids for ids in (columns['image_id'], gt_image) if ids is not None and len(ids)]
    image_ids = np.unique(np.concatenate(listed)) if listed else np.zeros(0, dtype=np.int64)
    objects = len(basis.get('truth_area', ()))
    detection, gt, iou = (
        basis.get(f'pair_{name}', np.zeros(0, dtype=kind))
        for name, kind in (('detection', np.int64), ('truth', np.int64), ('iou', float))
    )
    crowd = basis.get('truth_crowd', np.zeros(0, dtype=bool))
    return Matches(
        image_ids=tuple(image_ids.tolist()),
        category_ids=tuple(category_ids.tolist()),
        category_names=tuple(str(names[identity]) for identity in category_ids.tolist()),
        image=np.searchsorted(image_ids, columns['image_id'])[order],
        category=np.searchsorted(category_ids, columns['category_id'])[order],
        scores={new: columns[old][order] for old, new in FORMER_SCORES.items() if old in columns},
        true_iou=columns['true_iou'][order],
        best_gt=_best_gt(count, detection, gt, iou, crowd),
        area=columns['area'][order],
        box=columns['box'][order],
        result_index=order,
        gt_image=(
            np.full(objects, -1) if gt_image is None else np.searchsorted(image_ids, gt_image)
        ),
        gt_category=basis.get('truth_category', np.zeros(0, dtype=np.int64)),
        gt_area=basis.get('truth_area', np.zeros(0)),
        gt_crowd=crowd,
        gt_id_is_zero=basis.get('truth_id_is_zero', np.zeros(0, dtype=bool)),
        pair_detection=detection,
        pair_gt=gt,
        pair_iou=iou,
        protocol=_former_protocol(basis),
    )


def _best_gt(count: int, detection: NDArray, gt: NDArray, iou: NDArray, crowd: NDArray) -> NDArray:
    best = np.full(count, -1)
    kept = ~crowd[gt]
    order = np.lexsort((-gt[kept], iou[kept]))  # the best pair of a detection overwrites the others
    best[detection[kept][order]] = gt[kept][order]
    return best


def _former_protocol(basis: dict[str, NDArray]) -> Protocol:
    """Without thresholds where the file has no basis: `Matches.rank` then says what to do."""
    if 'iou_thresholds' not in basis:
        return Protocol(iou_thresholds=np.zeros(0))
    return _protocol(
        {**basis, 'area_names': basis['size_names'], 'area_ranges': basis['size_ranges']}
    )
