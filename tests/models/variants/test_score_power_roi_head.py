import pytest
import torch

from ..hosts import HOST_WARNINGS, batch_of, predict
from .seen import roi_head_model

pytestmark = HOST_WARNINGS


@pytest.mark.parametrize(('power', 'expected'), [(0, 0.5), (0.5, 0.25), (1, 0.125), (2, 0.03125)])
def test_by_hand(power, expected):
    roi_head = roi_head_model('MSScorePowerRoIHead', score_power=power).roi_head
    assert roi_head._mask_scores(torch.tensor([0.25]), torch.tensor([0.5])).item() == expected


@pytest.mark.parametrize('rescore_boxes', [False, True])
def test_it_is_the_mask_score_and_what_boxes_are_rescored_by(rescore_boxes):
    power = dict(score_power=0.5, rescore_boxes=rescore_boxes)
    model, batch = roi_head_model('MSScorePowerRoIHead', **power), batch_of(3)
    plain = roi_head_model('MSRoIHead')
    plain.load_state_dict(model.state_dict())
    (found,), (expected,) = predict(model, batch), predict(plain, batch)
    assert found.mask_ious.equal(expected.mask_ious)
    scores = expected.scores.sqrt() * expected.mask_ious
    torch.testing.assert_close(found.mask_scores, scores)
    torch.testing.assert_close(found.scores, scores if rescore_boxes else expected.scores)


def test_without_detections_there_are_none():
    cfg = dict(score_power=0.5)
    model = roi_head_model('MSScorePowerRoIHead', **cfg)
    model.roi_head.test_cfg.score_thr = 1.1
    (found,) = predict(model, batch_of(0))
    assert len(found) == len(found.mask_scores) == 0


def test_less_than_nothing_is_refused():
    with pytest.raises(ValueError, match='score_power=-1; give 0 or more'):
        roi_head_model('MSScorePowerRoIHead', score_power=-1)
