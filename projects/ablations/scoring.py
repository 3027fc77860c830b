"""The test of trained weights: with `operating_point`, all here that calls the evaluation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from msrcnn_plugin.apis import CheckpointEvaluation, evaluate_checkpoint
from msrcnn_plugin.evaluation import Matches, evaluate_coco
from projects.ablations.operating_point import (
    SMALLEST_ALARMS,
    SMALLEST_RECALL,
    free_response,
    smallest_ap,
    smallest_area,
)

PAIRS_NAME = 'pairs.npz'


def boundary_ap(found: CheckpointEvaluation) -> dict[str, float]:
    """Boundary AP by the score of the results file, a mask score; it decodes every mask again."""
    result = evaluate_coco(found.ann_file, found.results_file, boundary=True)
    return {name: value for name, value in result.figures.items() if name.startswith('boundary')}


def lesion_figures(found: CheckpointEvaluation) -> dict[str, float]:
    """Recall, dice and false alarms by class score and by mask score: ``recall_score``, …"""
    return {
        f'{name}_{score}': value
        for score in _rankings(found)
        for name, value in free_response(found.result.matches, score).items()
    }


def smallest_figures(found: CheckpointEvaluation) -> dict[str, float]:
    """The figures of the smallest quarter of the objects: ``smallest_AP_score``, …"""
    matches = found.result.matches
    limits = dict(alarms=SMALLEST_ALARMS, share=SMALLEST_RECALL, largest=smallest_area(matches))
    return {
        f'smallest_{name}_{score}': value
        for score in _rankings(found)
        for name, value in dict(
            AP=smallest_ap(matches, score), **free_response(matches, score, **limits)
        ).items()
    }


def _rankings(found: CheckpointEvaluation) -> list[str]:
    return [name for name in ('score', 'mask_score') if name in found.result.matches.scores]


# What a study may measure beside the metric's figures.
MEASURES: dict[str, Callable[[CheckpointEvaluation], Mapping[str, float]]] = {
    'boundary': boundary_ap,
    'free_response': lesion_figures,
    'smallest': smallest_figures,
}


def test_weights(
    config: Path, checkpoint: Path, folder: Path, measures: Sequence[str]
) -> dict[str, Any]:
    """Tests a checkpoint: its figures, and the gain of its mask score over its class score.

    Args:
        measures: names of further `MEASURES`.

    Returns:
        ``figures`` as `MaskScoringMetric` names them and ``gain`` with its 95 % interval, as
        fractions. ``gain`` is empty where the model predicts no IoU or overwrites the class score.
    """
    found = evaluate_checkpoint(config, checkpoint, folder)
    matches = found.result.matches
    gain: Mapping[str, Any] = {}
    if {'mask_iou', 'mask_score'} <= set(matches.scores) and not found.writes_mask_scores:
        gain = asdict(matches.bootstrap('mask_score', 'score'))
    figures = {name.split('/', 1)[-1]: value for name, value in found.figures.items()}
    for name in measures:
        figures.update(MEASURES[name](found))
    return dict(figures=_for_json(figures), gain=_for_json(gain))


def difference(folder: Path, other: Path) -> dict[str, Any]:
    """Mask AP of one test minus that of another test of the same images, with its 95 % interval.

    Each test ranks by its own mask score. A paired bootstrap over the images tells more than two
    gains with an interval each, because an image is hard or easy for both.

    Args:
        folder, other: folders of `test_weights`.

    Returns:
        gain, low, high as fractions, and images; empty where there is no other test.
    """
    if not (other / PAIRS_NAME).is_file():
        return {}
    ours, theirs = (Matches.load(each / PAIRS_NAME) for each in (folder, other))
    found = ours.bootstrap('mask_score', 'mask_score', baseline_matches=theirs)
    return _for_json(asdict(found))


def _for_json(figures: Mapping[str, float]) -> dict[str, float | None]:
    """JSON has no NaN."""
    return {name: None if math.isnan(value) else value for name, value in figures.items()}
