"""A calibrated model on the page: what its predicted IoU was worth before, and is now."""

from dataclasses import replace

import pytest

from msrcnn_plugin.evaluation import MaskScoringResult
from msrcnn_plugin.visualization.palette import DARK, STYLES, UNCALIBRATED, written
from msrcnn_plugin.visualization.report import ReportedModel, render_report

from ..test_score_plots import contrast
from .models import evaluated_set


@pytest.fixture
def result(tmp_path):
    matches = evaluated_set(tmp_path).matches
    scores, before = matches.scores, matches.scores['mask_iou']
    scores = {**scores, 'mask_iou': before / 2, 'uncalibrated_mask_iou': before}
    return MaskScoringResult.from_matches(replace(matches, scores=scores))


def test_the_page_shows_both(result):
    page = render_report([ReportedModel('a model', result)])
    quality = result.overall().quality
    after, before = quality['mask_iou'].ece, quality['uncalibrated_mask_iou'].ece
    assert after != before
    assert f'uncalibrated IoU: ECE {written(before)}' in page
    assert f'predicted IoU: ECE {written(after)}' in page
    assert 'ECE, uncalibrated IoU' in page
    assert written(before, 3) in page


def test_an_uncalibrated_model_has_one(tmp_path):
    page = render_report([ReportedModel('a model', evaluated_set(tmp_path))])
    assert 'uncalibrated' not in page


def test_its_curve_is_told_from_the_others_and_can_be_read():
    assert UNCALIBRATED.colour not in {style.colour for style in STYLES.values()}
    assert UNCALIBRATED.marker not in {style.marker for style in STYLES.values()}
    assert contrast(UNCALIBRATED.colour, '#ffffff') >= 4.5
    assert contrast(DARK[UNCALIBRATED.colour], '#1a2027') >= 4.5
