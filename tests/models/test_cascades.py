"""The hosts whose mask branch has several stages."""

import copy

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.hub import get_config

# mmdet copies the merged masks of a cascade that way before it pastes them.
pytestmark = pytest.mark.filterwarnings('ignore:To copy construct from a tensor')

HOSTS = {
    'MSCascadeRoIHead': ('CascadeRoIHead', 'cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py'),
    'MSHTCRoIHead': ('HybridTaskCascadeRoIHead', 'htc/htc-without-semantic_r50_fpn_1x_coco.py'),
}


def narrow(cfg):
    """mmdet's config with 16 channels for 256, 32 for 1024, 3 classes, and few RoIs."""
    sizes = {256: 16, 1024: 32}
    for key, value in cfg.items():
        for part in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(part, dict):
                narrow(part)
        if 'channels' in key and isinstance(value, int):
            cfg[key] = sizes.get(value, value)
    if 'num_classes' in cfg:
        cfg['num_classes'] = 3
    return cfg


def tiny_cascade(roi_head):
    stock, config = (
        HOSTS[roi_head] if roi_head in HOSTS else (roi_head, dict(HOSTS.values())[roi_head])
    )
    cfg = narrow(get_config(f'mmdet::{config}').model)
    cfg.backbone.update(depth=18, base_channels=8, init_cfg=None)
    cfg.neck.update(in_channels=[8, 16, 32, 64])
    cfg.roi_head.type = roi_head
    if roi_head != stock:
        cfg.roi_head.mask_iou_head = dict(
            type='MSMaskIoUHead', num_convs=2, num_fcs=1, conv_out_channels=16, fc_out_channels=32
        )
    for stage in cfg.train_cfg.rcnn:
        stage.sampler.num = 32
    cfg.train_cfg.rpn_proposal.max_per_img = cfg.test_cfg.rpn.max_per_img = 50
    cfg.test_cfg.rcnn.update(score_thr=0.0, max_per_img=20)
    model = MODELS.build(cfg)
    model.init_weights()
    return model


@pytest.fixture(params=HOSTS)
def pair(request):
    """A cascade with mask scoring, and mmdet's own with its weights."""
    scoring, stock = tiny_cascade(request.param), tiny_cascade(HOSTS[request.param][0])
    stock.load_state_dict(scoring.state_dict(), strict=False)
    return scoring, stock


def losses(model, batch):
    torch.manual_seed(3)
    images, samples = copy.deepcopy(batch)
    return {
        name: sum(v) if isinstance(v, list) else v
        for name, v in model.train().loss(images, samples).items()
    }


@torch.no_grad()
def predict(model, batch):
    images, samples = copy.deepcopy(batch)
    return [sample.pred_instances for sample in model.eval().predict(images, samples)]


def test_every_stage_learns_and_the_hosts_losses_are_unchanged(pair, batch):
    ours, theirs = (losses(model, batch) for model in pair)
    added = {f's{stage}.loss_mask_iou' for stage in range(3)}
    assert set(ours) - set(theirs) == added
    assert all(ours[name] > 0 for name in added)
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, atol=1e-6, rtol=0)


def test_predictions_are_the_hosts_to_the_bit(pair, batch):
    for ours, theirs in zip(*(predict(model, batch) for model in pair)):
        assert len(ours) > 0
        for name in ('bboxes', 'scores', 'labels', 'masks'):
            assert torch.equal(ours[name], theirs[name]), name
        assert ours.mask_ious.unique().numel() > 1
        assert torch.equal(ours.mask_scores, ours.scores * ours.mask_ious)


def test_the_emitted_mask_is_what_is_scored(pair, batch):
    """Probabilities, not put through a sigmoid once more, and of the stages the host emits."""
    scoring, _ = pair
    emitted, scored = [], []
    last = scoring.roi_head.mask_head[-1]
    paste = last.predict_by_feat

    def observed(mask_preds, results_list, **kwargs):
        emitted.extend(
            torch.as_tensor(masks)[torch.arange(len(results)), results.labels]
            for masks, results in zip(mask_preds, results_list)
        )
        return paste(mask_preds=mask_preds, results_list=results_list, **kwargs)

    last.predict_by_feat = observed
    scoring.roi_head.mask_iou_head.register_forward_pre_hook(
        lambda _, inputs: scored.append(inputs[1])
    )
    predict(scoring, batch)
    torch.testing.assert_close(torch.cat(scored), torch.cat(emitted))


def test_no_detections(pair, batch):
    scoring, _ = pair
    scoring.roi_head.test_cfg.score_thr = 2.0
    for results in predict(scoring, batch):
        assert results.mask_ious.shape == results.mask_scores.shape == (0,)


def test_muted_only_the_mask_iou_loss_is_left(pair, batch):
    scoring, _ = pair
    scoring.rpn_head.loss_by_feat = lambda *args, **kwargs: {}
    scoring.roi_head.mute_host_losses()
    assert set(losses(scoring, batch)) == {f's{stage}.loss_mask_iou' for stage in range(3)}
