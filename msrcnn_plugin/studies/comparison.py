"""What other scores of the same masks are worth, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from typing import Any

import numpy as np

from ..evaluation import Matches
from .records import for_json, kept_test
from .study import Study


def with_differences(study: Study, records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The records of a study, with the ``difference`` that the scores of each make.

    It is mask AP minus that of ``study.compare_with`` with the same seed, each ranked by its own
    mask score, as a fraction, with the 95 % interval of `bootstrap_gain`. Only where the masks are
    the same, those of one trunk, are the scores all that differs: empty elsewhere, and for the run
    that is compared with. Two gains over the class score, each with an interval of its own, tell
    less: what makes images easy or hard is in both.
    """
    runs = {(run.name, run.seed): run for run in study.runs}

    @cache
    def pairs(name: str, seed: int) -> Matches:
        return kept_test(runs[name, seed]).load().result.matches

    def difference(name: str, seed: int) -> dict[str, Any]:
        if name == study.compare_with:
            return {}
        found, other = pairs(name, seed), pairs(study.compare_with, seed)
        if not same_masks(found, other):
            return {}
        gain = found.bootstrap('mask_score', other.scores['mask_score'])
        return dict(run=study.compare_with, **for_json(asdict(gain)))

    if study.compare_with is None:
        return list(records)
    return [
        {**record, 'difference': difference(record['run'], record['seed'])} for record in records
    ]


def same_masks(first: Matches, second: Matches) -> bool:
    """Whether both are of the same detections, in one order, as far as pairs can tell."""
    return all(
        np.array_equal(getattr(first, name), getattr(second, name))
        for name in ('image_ids', 'image', 'category', 'box', 'area', 'true_iou')
    )
