"""What a page says of one model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from ...evaluation import MaskScoringResult, Matches, RankedAP
from ..gallery import Gallery
from ..palette import STYLES, Style, ranking_style

MASK_SCORE = STYLES['mask_score'].name


@dataclass(frozen=True)
class ReportedModel:
    """One model's evaluation, for `render_report`; several of them stand side by side.

    The same model under two post-processings (as trained, calibrated) is two of these.

    Attributes:
        name: as the page calls it; every model of a page needs another one.
        result: of `MaskScoringMetric`, `MaskScoringResult.load` or `evaluate_coco`. Its matches
            hold the scores that every picture is drawn from. Where they have no ``mask_iou``, what
            needs it is left out; where the mask score equals the class score, so is the ranking by
            it.
        box_ap: AP of the boxes in [0, 1] by COCO's suffixes ('', '_50', '_75', '_s', '_m', '_l');
            a suffix that is not given is a dash. Empty for no row of boxes.
        facts: further figures of the model, such as ``{'parameters (M)': 44.2}``: one column each
            in the table of models. A number can be sorted by and is written with four digits, NaN
            as a dash; put its unit into the name.
        gallery: its misjudged masks, if any are to be shown.
        score_name: what `scores` are, such as `MASK_SCORE` for mmdet's own MS R-CNN, which writes
            the mask score over them. Empty for what the matches say: mask score where they
            have a predicted IoU and two equal scores, else class score.
    """

    name: str
    result: MaskScoringResult
    box_ap: Mapping[str, float] = field(default_factory=dict)
    facts: Mapping[str, float | str] = field(default_factory=dict)
    gallery: Gallery | None = None
    score_name: str = ''

    def __post_init__(self) -> None:
        if not self.score_name:
            rescored = self.predicts_iou and not self.has_mask_score
            name = MASK_SCORE if rescored else STYLES['score'].name
            object.__setattr__(self, 'score_name', name)

    @property
    def matches(self) -> Matches:
        return self.result.matches

    @property
    def predicts_iou(self) -> bool:
        return 'mask_iou' in self.matches.scores

    @property
    def has_mask_score(self) -> bool:
        """Is there a mask score that is not the class score?"""
        scores = self.matches.scores
        if 'mask_score' not in scores:
            return False
        if not len(self.matches):
            return self.predicts_iou
        return not np.array_equal(scores['mask_score'], scores['score'])

    @property
    def rankings(self) -> dict[str, RankedAP]:
        """Those worth a row, in the order of the result."""
        return {
            name: ranking
            for name, ranking in self.result.rankings.items()
            if name != 'mask_score' or self.has_mask_score
        }

    @property
    def main_ranking(self) -> str:
        """What the model is to be ranked by: mask score where it has one."""
        return 'mask_score' if self.has_mask_score else 'score'

    @property
    def other_scores(self) -> list[str]:
        """Keys that a results file has beside the glossary's."""
        return [name for name in self.rankings if name not in STYLES]

    def ranking_name(self, ranking: str) -> str:
        name = ranking_style(ranking, list(self.rankings)).name
        return name.replace(STYLES['score'].name, self.score_name)

    def style(self, ranking: str) -> Style:
        """The ranking's style under the name that this model's score has."""
        style = ranking_style(ranking, list(self.rankings))
        return replace(style, name=self.ranking_name(ranking))
