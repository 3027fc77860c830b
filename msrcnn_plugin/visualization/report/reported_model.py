"""What a page says of one model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from ...evaluation import RankedAP
from ...evaluation.result import HOST_RANKING, MaskScoringResult
from ..gallery import Gallery
from ..palette import STYLES, Style

MASK_SCORE = STYLES[HOST_RANKING].name


@dataclass(frozen=True)
class ReportedModel:
    """One model's evaluation, for `render_report`; several of them stand side by side.

    The same model under two post-processings (as trained, calibrated) is two of these.

    Attributes:
        name: as the page calls it; every model of a page needs another one.
        result: of `MaskScoringMetric` or of `MaskScoringResult.from_pairs`. Its pairs hold the
            scores that every picture is drawn from. Where they have no `predicted_iou`, what needs
            it is left out; where the mask score equals the class score, so is the ranking by it.
        box_ap: AP of the boxes in [0, 1] by COCO's suffixes ('', '_50', '_75', '_s', '_m', '_l');
            a suffix that is not given is a dash. Empty for no row of boxes.
        facts: further figures of the model, such as ``{'parameters (M)': 44.2}``: one column each
            in the table of models. A number can be sorted by and is written with four digits, NaN
            as a dash; put its unit into the name.
        gallery: its misjudged masks, if any are to be shown.
        score_name: what `scores` are, such as `MASK_SCORE` for mmdet's own MS R-CNN, which writes
            the mask score over them. Empty for what the pairs say: mask score where they have a
            predicted IoU and two equal scores, else class score.
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
            name = MASK_SCORE if rescored else STYLES['cls'].name
            object.__setattr__(self, 'score_name', name)

    @property
    def predicts_iou(self) -> bool:
        return self.result.pairs.predicted_iou is not None

    @property
    def has_mask_score(self) -> bool:
        """Is there a mask score that is not the class score?"""
        pairs = self.result.pairs
        if not len(pairs):
            return self.predicts_iou
        return not np.array_equal(pairs.mask_score, pairs.box_score)

    @property
    def rankings(self) -> dict[str, RankedAP]:
        """Those worth a row, in the order of `palette.STYLES`."""
        names = [name for name in STYLES if name in self.result.rankings]
        return {
            name: self.result.rankings[name]
            for name in names
            if name != HOST_RANKING or self.has_mask_score
        }

    @property
    def main_ranking(self) -> str:
        """What the model is to be ranked by: mask score where it has one."""
        return HOST_RANKING if self.has_mask_score else 'cls'

    def ranking_name(self, ranking: str) -> str:
        return STYLES[ranking].name.replace(STYLES['cls'].name, self.score_name)

    def style(self, ranking: str) -> Style:
        """The ranking's style under the name that this model's score has."""
        return replace(STYLES[ranking], name=self.ranking_name(ranking))
