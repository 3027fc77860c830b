"""The sentence that opens the page."""

from dataclasses import replace

import numpy as np
import pytest

from msrcnn_plugin.evaluation import MaskScoringResult
from msrcnn_plugin.visualization.report import (
    MASK_SCORE,
    ReportedModel,
    headline,
    scoring_sentence,
)

from ...evaluation.coco_sets import CLASSES, data_set, fields_of, random_set
from .models import evaluated, evaluated_set, with_ap

RAISES = (
    'raises mask AP from 41.4 to 41.6 (+0.25): 5 % of the 5.4 points that knowing the true IoU '
    'would gain, 3 % of the 8.6 of the best possible order.'
)
LOWERS = (
    'lowers mask AP from 40.0 to 39.0 (−1.00); knowing the true IoU would raise it by 5.0 points, '
    'the best possible order by 10.0.'
)
LEAVES = (
    'leaves mask AP at 40.0; knowing the true IoU would raise it by 5.0 points, the best possible '
    'order by 10.0.'
)
NO_ROOM = 'leaves mask AP at 40.0; knowing the true IoU would not rank them better.'


@pytest.mark.parametrize(
    ('ap', 'unique', 'sentence'),
    [
        ((0.414, 0.4165, 0.468), 0.5, RAISES),
        ((0.4, 0.39, 0.45), 0.5, LOWERS),
        ((0.4, 0.4001, 0.45), 0.5, LEAVES),
        ((0.4, 0.4, 0.4), 0.4, NO_ROOM),
    ],
)
def test_says_what_the_scoring_changed(ap, unique, sentence):
    start = 'Ranking the same masks by mask score instead of class score '
    assert headline([with_ap(*ap, unique=unique)]) == start + sentence


def test_the_score_goes_by_its_models_name():
    assert 'instead of box score' in headline([with_ap(0.4, 0.5, 0.6, score_name='box score')])


def test_a_model_without_mask_score_says_what_there_is_to_gain(tmp_path):
    result = evaluated_set(tmp_path, predicts_iou=False)
    sentence = scoring_sentence(ReportedModel('plain', result))
    assert sentence.startswith('Ranked by class score the masks reach mask AP ')
    assert 'points more' in sentence


def rescored(model, *left_out):
    """The model as if it had written its mask scores over its class scores."""
    scores = model.matches.scores
    scores = {**scores, 'score': scores['mask_score']}
    scores = {name: values for name, values in scores.items() if name not in left_out}
    return ReportedModel(
        'rescored', MaskScoringResult.from_matches(replace(model.matches, scores=scores))
    )


def test_class_scores_that_are_mask_scores(tmp_path):
    model = ReportedModel('a model', evaluated_set(tmp_path))
    assert model.score_name == 'class score'
    assert model.main_ranking == 'mask_score'
    again = rescored(model)
    assert again.score_name == MASK_SCORE == 'mask score'
    assert list(again.rankings) == ['score', 'mask_iou', 'oracle', 'unique']
    assert scoring_sentence(again).startswith('Ranked by mask score the masks reach mask AP ')
    # Without a predicted IoU nothing says that they are.
    assert rescored(model, 'mask_iou').score_name == 'class score'


def test_several_models_are_named_with_the_ap_of_their_own_ranking():
    models = [with_ap(0.3, 0.31, 0.5, 'first'), with_ap(0.3, 0.35, 0.5, 'second')]
    sentence = 'Mask AP, each model ranked by its own score: first 31.0 and second 35.0.'
    assert headline(models) == sentence


def test_no_detections(tmp_path):
    data, _ = random_set(3, images=4)
    result = evaluated(tmp_path, data, [], fields_of([]))
    assert 'found nothing' in headline([ReportedModel('blind', result)])


def test_no_ground_truth(tmp_path):
    _, results = random_set(3, images=4)
    result = evaluated(tmp_path, data_set(range(1, 5), (), CLASSES), results, fields_of(results))
    assert np.isnan(result.rankings['score'].ap())
    model = ReportedModel('a model', result)
    assert headline([model]) == 'Mask AP is undefined: no ground truth of the data set counts.'
    assert headline([model, ReportedModel('b', result)]).endswith('a model – and b –.')


def test_limits_without_cocos_own(tmp_path):
    result = evaluated_set(tmp_path, proposal_nums=(1, 10, 50))
    sentence = scoring_sentence(ReportedModel('a model', result))
    assert 'not among the proposal_nums 1, 10, 50' in sentence
