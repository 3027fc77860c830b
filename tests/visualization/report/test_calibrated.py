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
    pairs = evaluated_set(tmp_path).pairs
    calibrated = replace(
        pairs, predicted_iou=pairs.predicted_iou / 2, uncalibrated_iou=pairs.predicted_iou
    )
    return MaskScoringResult.from_pairs(calibrated)


def test_the_page_shows_both(result):
    page = render_report([ReportedModel('a model', result)])
    overall = result.overall()
    assert overall.mask_iou_ece != overall.uncalibrated_iou_ece
    assert f'uncalibrated IoU: ECE {written(overall.uncalibrated_iou_ece)}' in page
    assert f'predicted IoU: ECE {written(overall.mask_iou_ece)}' in page
    assert 'ECE, uncalibrated IoU' in page
    assert written(overall.uncalibrated_iou_ece, 3) in page


def test_an_uncalibrated_model_has_one(tmp_path):
    page = render_report([ReportedModel('a model', evaluated_set(tmp_path))])
    assert 'uncalibrated' not in page


def test_its_curve_is_told_from_the_others_and_can_be_read():
    assert UNCALIBRATED.colour not in {style.colour for style in STYLES.values()}
    assert UNCALIBRATED.marker not in {style.marker for style in STYLES.values()}
    assert contrast(UNCALIBRATED.colour, '#ffffff') >= 4.5
    assert contrast(DARK[UNCALIBRATED.colour], '#1a2027') >= 4.5
