"""The sentence that a page opens with: what the scoring changed."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...evaluation.rankings import main_limit
from ...evaluation.result import CEILINGS
from ..palette import written
from .reported_model import ReportedModel

# Less than this, in AP points, is written as no change: COCO's AP is reported with one digit.
NO_CHANGE = 0.05


def headline(models: Sequence[ReportedModel]) -> str:
    """One sentence: for one model what the scoring changed, for several where each one stands."""
    if len(models) == 1:
        return scoring_sentence(models[0])
    parts = [f'{model.name} {percent(main_ap(model))}' for model in models]
    listed = ', '.join(parts[:-1]) + f' and {parts[-1]}'
    return f'Mask AP, each model ranked by its own score: {listed}.'


def scoring_sentence(model: ReportedModel) -> str:
    """What ranking one model's masks by mask score instead of class score does to mask AP."""
    before, after = _ap(model, 'score'), main_ap(model)
    limits = model.result.rankings['score'].max_dets
    limit = main_limit(limits)
    if limit not in limits:
        return (
            f'Mask AP is undefined: COCO counts {limit} detections an image for it, which '
            f'is not among the proposal_nums {", ".join(map(str, limits))} of this evaluation.'
        )
    if math.isnan(before):
        return 'Mask AP is undefined: no ground truth of the data set counts.'
    if not len(model.result.matches):
        return 'The model found nothing: there are no masks to rank, and mask AP is 0.'
    ceilings = {name: 100 * (_ap(model, name) - before) for name in CEILINGS}
    if not model.has_mask_score:
        return (
            f'Ranked by {model.score_name} the masks reach mask AP {percent(before)}; with their '
            f'true IoU known they would reach {percent(_ap(model, "oracle"))} '
            f'({written(ceilings["oracle"], 1)} points more), in the best possible order '
            f'{percent(_ap(model, "unique"))}.'
        )
    return (
        f'Ranking the same masks by mask score instead of {model.score_name} '
        f'{_change(before, after)}{_share(100 * (after - before), **ceilings)}'
    )


def main_ap(model: ReportedModel) -> float:
    """Mask AP in [0, 1] under the ranking that the model is meant to be used with."""
    return _ap(model, model.main_ranking)


def percent(ap: float) -> str:
    """AP as COCO's tables have it, 0 to 100 with one digit."""
    return written(100 * ap, 1)


def _ap(model: ReportedModel, ranking: str) -> float:
    return model.result.rankings[ranking].ap()


def _change(before: float, after: float) -> str:
    points = 100 * (after - before)
    if abs(points) < NO_CHANGE:
        return f'leaves mask AP at {percent(before)}'
    verb, sign = ('raises', '+') if points > 0 else ('lowers', '\u2212')
    return (
        f'{verb} mask AP from {percent(before)} to {percent(after)} '
        f'({sign}{written(abs(points), 2)})'
    )


def _share(gain: float, oracle: float, unique: float) -> str:
    """How much of what was to be gained, where anything was."""
    if oracle < NO_CHANGE:
        return '; knowing the true IoU would not rank them better.'
    if gain < NO_CHANGE:
        return (
            f'; knowing the true IoU would raise it by {written(oracle, 1)} points, the best '
            f'possible order by {written(unique, 1)}.'
        )
    return (
        f': {written(100 * gain / oracle, 0)} % of the {written(oracle, 1)} points that knowing '
        f'the true IoU would gain, {written(100 * gain / unique, 0)} % of the '
        f'{written(unique, 1)} of the best possible order.'
    )
