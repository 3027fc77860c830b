"""The page's numbers for other programs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ...evaluation.rankings import FIGURE_SUFFIXES
from .headline import headline, scoring_sentence
from .reported_model import ReportedModel


def figures_of(models: Sequence[ReportedModel]) -> dict[str, Any]:
    """Fit for JSON: the page's sentence, and for each model, by its name, all that it shows."""
    return {
        'headline': headline(models),
        'models': {model.name: _figures(model) for model in models},
    }


def box_ap(figures: Mapping[str, float]) -> dict[str, float]:
    """A `ReportedModel.box_ap` of what `MaskScoringMetric` returned, whatever its prefix.

    COCO's -1, for a size without ground truth, becomes NaN.
    """
    plain = {name.split('/')[-1]: value for name, value in figures.items()}
    found = {suffix: plain.get(f'bbox_mAP{suffix}') for suffix in FIGURE_SUFFIXES}
    return {
        suffix: math.nan if value == -1 else value
        for suffix, value in found.items()
        if value is not None
    }


def _figures(model: ReportedModel) -> dict[str, Any]:
    return {
        'sentence': scoring_sentence(model),
        **model.result.to_dict(),
        'box_ap': {name: _or_none(value) for name, value in model.box_ap.items()},
        'facts': {name: _or_none(value) for name, value in model.facts.items()},
    }


def _or_none(value: float | str) -> float | str | None:
    return None if value != value else value
