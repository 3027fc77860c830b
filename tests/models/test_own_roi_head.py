"""The mixin on a RoI head that mmdet does not know, as its docstring says."""

import copy

import pytest
import torch
from mmdet.models.roi_heads import StandardRoIHead
from mmdet.registry import MODELS
from torch import nn

from msrcnn_plugin.models import MaskScoringMixin

from .hosts import batch_of, losses, pair, predict, tiny_host_cfg


class MyRoIHead(StandardRoIHead):
    """Sharpens its masks, and has an argument and a loss of its own."""

    def __init__(self, *args, sharpness=2.0, **kwargs):
        super().__init__(*args, **kwargs)
        self.sharpen = nn.Parameter(torch.tensor(sharpness))

    def mask_loss(self, x, sampling_results, bbox_feats, batch_gt_instances, my_weight=0.1):
        results = super().mask_loss(x, sampling_results, bbox_feats, batch_gt_instances)
        results['loss_mask']['loss_mine'] = my_weight * self.sharpen**2
        return results

    def _mask_forward(self, *args, **kwargs):
        results = super()._mask_forward(*args, **kwargs)
        return dict(results, mask_preds=results['mask_preds'] * self.sharpen)


@pytest.fixture
def my_heads():
    heads = dict(
        MyRoIHead=MyRoIHead, MyScoringHead=type('MyScoringHead', (MaskScoringMixin, MyRoIHead), {})
    )
    for name, head in heads.items():
        MODELS.register_module(name=name, module=head)
    yield
    for name in heads:
        MODELS.module_dict.pop(name)


@pytest.fixture
def models(my_heads):
    cfg = tiny_host_cfg('ms_rcnn_r50_fpn')
    cfg.roi_head.type = 'MyScoringHead'
    return pair(cfg, 'MyRoIHead')


def test_scores_the_masks_it_emits_and_leaves_the_rest(models):
    for ours, theirs in zip(*(predict(model, batch_of(3, 0)) for model in models)):
        for name in ('bboxes', 'scores', 'labels', 'masks'):
            assert torch.equal(ours[name], theirs[name]), name
        assert ours.mask_ious.unique().numel() > 1
        assert torch.equal(ours.mask_scores, ours.scores * ours.mask_ious)


def test_learns_beside_the_losses_it_has(models):
    ours, theirs = (losses(model, batch_of(3, 0)) for model in models)
    assert set(ours) - set(theirs) == {'loss_mask_iou'}
    assert ours['loss_mask_iou'] > 0
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, atol=1e-6, rtol=0)


def test_can_be_trained_alone(models):
    scoring = copy.deepcopy(models[0])
    scoring.rpn_head.loss_by_feat = lambda *args, **kwargs: {}
    scoring.roi_head.mute_host_losses()
    assert set(losses(scoring, batch_of(3, 0))) == {'loss_mask_iou'}
