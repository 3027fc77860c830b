"""The baselines that need no training."""

import pytest
import torch
from torch import nn

from msrcnn_plugin.apis.mean_mask_probs import (
    give_mean_mask_probs,
    mask_stability,
    mean_mask_prob,
)

from ..models.hosts import HOST_WARNINGS, batch_of, build, host_pair, predict, tiny_host_cfg

pytestmark = HOST_WARNINGS
FIELDS = ('bboxes', 'labels', 'scores', 'masks')


def test_by_hand():
    mask_probs = torch.tensor([[[0.9, 0.6], [0.5, 0.1]], [[0.1, 0.2], [0.5, 0.0]]])
    torch.testing.assert_close(mean_mask_prob(mask_probs), torch.tensor([0.75, 0.0]))
    assert mean_mask_prob(torch.zeros(0, 4, 4)).shape == (0,)


def test_stability_by_hand():
    mask_probs = torch.tensor([[[0.9, 0.6], [0.5, 0.1]], [[0.1, 0.2], [0.3, 0.0]]])
    torch.testing.assert_close(mask_stability(mask_probs), torch.tensor([1 / 3, 0.0]))
    assert mask_stability(torch.zeros(0, 4, 4)).shape == (0,)
    # Segment Anything's offset of 1: logits above 1 among those above -1.
    logits = torch.tensor([[[2.0, 0.9], [-0.9, -1.1]]])
    low, high = torch.tensor([-1.0, 1.0]).sigmoid().tolist()
    torch.testing.assert_close(mask_stability(logits.sigmoid(), low, high), torch.tensor([1 / 3]))


@pytest.mark.parametrize('stock', [True, False], ids=['stock', 'scoring'])
@pytest.mark.parametrize('name', ['ms_rcnn_r50_fpn', 'cascade_ms_rcnn_r50_fpn'])
def test_predictions_gain_it_and_stay_what_they_were(name, stock):
    model = host_pair(name)[stock]
    batch = batch_of(2, 0)
    expected = predict(model, batch)
    with give_mean_mask_probs(model):
        results_list = predict(model, batch)
    for results, before in zip(results_list, expected):
        assert results.mask_mean_probs.shape == results.scores.shape
        assert set(results.keys()) - set(before.keys()) == {'mask_mean_probs', 'mask_stabilities'}
        assert all(torch.equal(results[name], before[name]) for name in FIELDS)
        stable = results.mask_stabilities
        assert ((stable >= 0) & (stable <= 1)).all()
        sure = results.mask_mean_probs
        assert ((sure == 0) | (sure > 0.5)).all()
        assert sure.max() > 0.5
    assert set(predict(model, batch)[0].keys()) == set(expected[0].keys())


def test_nothing_is_detected():
    cfg = tiny_host_cfg('ms_rcnn_r50_fpn')
    cfg.test_cfg.rcnn.score_thr = 2.0
    model = build(cfg)
    with give_mean_mask_probs(model):
        (results,) = predict(model, batch_of(1))
    assert results.mask_mean_probs.shape == results.mask_stabilities.shape == (0,)


def test_a_model_without_rois_is_left_alone():
    model = nn.Linear(1, 1)
    with give_mean_mask_probs(model):
        assert 'roi_head' not in vars(model)
