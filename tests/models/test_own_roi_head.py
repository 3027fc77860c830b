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
        self.sharpness = nn.Parameter(torch.tensor(sharpness))

    def mask_loss(self, x, sampling_results, bbox_feats, batch_gt_instances, my_weight=0.1):
        results = super().mask_loss(x, sampling_results, bbox_feats, batch_gt_instances)
        results['loss_mask']['loss_mine'] = my_weight * self.sharpness**2
        return results

    def _mask_forward(self, *args, **kwargs):
        results = super()._mask_forward(*args, **kwargs)
        return dict(results, mask_preds=results['mask_preds'] * self.sharpness)


class MyScoringHead(MaskScoringMixin, MyRoIHead):
    """The same, with mask scoring."""


@pytest.fixture
def models():
    """Mine with mask scoring, and mine with its weights."""
    heads = (MyRoIHead, MyScoringHead)
    for head in heads:
        MODELS.register_module(module=head)
    cfg = tiny_host_cfg('ms_rcnn_r50_fpn')
    cfg.roi_head.type = 'MyScoringHead'
    yield pair(cfg, 'MyRoIHead')
    for head in heads:
        MODELS.module_dict.pop(head.__name__)


@pytest.fixture
def batch():
    return batch_of(3, 0)


def test_scores_the_masks_that_it_emits(models, batch):
    scored = []
    models[0].roi_head.mask_iou_head.register_forward_pre_hook(
        lambda _, inputs: scored.append(inputs[1])
    )
    logits = []
    models[0].roi_head.mask_head.register_forward_hook(lambda *call: logits.append(call[-1]))
    ours, theirs = (predict(model, batch) for model in models)
    for our, their in zip(ours, theirs):
        for name in ('bboxes', 'scores', 'labels', 'masks'):
            assert torch.equal(our[name], their[name]), name
        assert our.mask_ious.unique().numel() > 1
        assert torch.equal(our.mask_scores, our.scores * our.mask_ious)
    labels = torch.cat([results.labels for results in ours])
    sharpened = 2 * logits[0][torch.arange(len(labels)), labels]
    torch.testing.assert_close(scored, [sharpened.sigmoid()])


def test_learns_from_them_beside_the_losses_it_has(models, batch):
    ours, theirs = (losses(model, batch) for model in models)
    assert set(ours) - set(theirs) == {'loss_mask_iou'}
    assert ours['loss_mask_iou'] > 0
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, atol=1e-6, rtol=0)
    ours['loss_mask_iou'].backward()
    assert models[0].roi_head.sharpness.grad != 0


def test_can_be_trained_alone(models, batch):
    scoring = copy.deepcopy(models[0])
    scoring.rpn_head.loss_by_feat = lambda *args, **kwargs: {}
    scoring.roi_head.only_mask_iou_loss = True
    assert set(losses(scoring, batch)) == {'loss_mask_iou'}
