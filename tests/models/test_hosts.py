"""What holds for every host."""

import copy
from types import SimpleNamespace

import pytest
import torch
from mmdet.models.roi_heads.mask_heads.fcn_mask_head import _do_paste_mask
from mmdet.models.roi_heads.roi_extractors import BaseRoIExtractor
from mmdet.registry import MODELS
from mmengine.optim import OptimWrapper
from mmengine.structures import InstanceData

from msrcnn_plugin.hooks import TrainMaskIoUHeadOnlyHook
from msrcnn_plugin.hooks.mask_iou_heads import find_mask_iou_heads

from .hosts import HOST_WARNINGS, HOSTS, batch_of, host_pair, losses, predict, tiny_host_cfg

pytestmark = HOST_WARNINGS
FIELDS = {'bboxes', 'labels', 'scores', 'masks', 'mask_ious', 'mask_scores'}


@pytest.fixture(scope='module', params=HOSTS)
def models(request):
    """A host with mask scoring, and mmdet's own with its weights; to be left as they are."""
    torch.manual_seed(0)
    return host_pair(request.param)


@pytest.fixture
def scoring(models):
    """A host with mask scoring, to be changed."""
    return copy.deepcopy(models[0])


@pytest.fixture
def under_autocast(scoring):
    """The same with RoI extractors that take float32 alone, as mmcv's RoIAlign does on the CPU."""
    for module in scoring.modules():
        if isinstance(module, BaseRoIExtractor):
            module.register_forward_pre_hook(
                lambda _, inputs: ([level.float() for level in inputs[0]], *inputs[1:])
            )
    return scoring


@pytest.fixture(scope='module')
def batch():
    """Two images, one of them without objects."""
    return batch_of(3, 0)


def total(parsed):
    return sum(value.sum() for name, value in parsed.items() if 'loss' in name)


def only_mask_iou(parsed):
    return {name: value for name, value in parsed.items() if 'mask_iou' in name}


def test_predictions_are_the_hosts_to_the_bit(models, batch):
    for ours, theirs in zip(*(predict(model, batch) for model in models)):
        assert len(ours) == 10
        for name in ('bboxes', 'scores', 'labels', 'masks'):
            assert torch.equal(ours[name], theirs[name]), name
        assert set(ours.keys()) == FIELDS
        assert ours.mask_ious.unique().numel() > 1
        assert ((ours.mask_ious >= 0) & (ours.mask_ious <= 1)).all()
        assert torch.equal(ours.mask_scores, ours.scores * ours.mask_ious)


def test_the_mask_that_is_emitted_is_scored(scoring, batch):
    scored = []
    (head,) = find_mask_iou_heads(scoring)
    head.register_forward_pre_hook(lambda _, inputs: scored.append(inputs[1]))
    results = predict(scoring, batch)
    # Put into the image as mmdet does, what was scored is what is there.
    boxes = torch.cat([r.bboxes for r in results])
    pasted, _ = _do_paste_mask(torch.cat(scored)[:, None], boxes, 96, 128, skip_empty=False)
    masks = torch.cat([r.masks for r in results])
    assert 0 < masks.float().mean() < 1
    assert ((pasted >= 0.5) == masks).float().mean() > 0.999


@pytest.mark.parametrize('empty', ['both', 'one'])
def test_images_without_detections_have_the_fields(scoring, batch, empty):
    # Between the best scores of the two images, or above all.
    best = sorted(results.scores.max().item() for results in predict(scoring, batch))
    scoring.roi_head.test_cfg.score_thr = 2.0 if empty == 'both' else sum(best) / 2
    results = predict(scoring, batch)
    assert [len(r) > 0 for r in results].count(False) == (2 if empty == 'both' else 1)
    for r in results:
        assert set(r.keys()) == FIELDS
        assert r.mask_ious.shape == r.mask_scores.shape == (len(r),)
        assert r.mask_ious.dtype == torch.float32


def test_the_hosts_losses_are_unchanged(models, batch):
    ours, theirs = (losses(model, batch) for model in models)
    added = set(ours) - set(theirs)
    assert added == set(only_mask_iou(ours)) != set()
    assert all(ours[name] > 0 for name in added)
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, atol=1e-6, rtol=0)


@pytest.mark.parametrize('objects', [3, 0])
def test_a_step_reaches_every_parameter(scoring, objects):
    parsed = losses(scoring, batch_of(objects, 0))
    assert all((value > 0) == (objects > 0) for value in only_mask_iou(parsed).values())
    total(parsed).backward()
    for name, parameter in scoring.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name


def test_bf16_autocast_trains(under_autocast, batch):
    """The RoI head alone: mmcv's NMS takes no bf16 on the CPU."""
    scoring = under_autocast
    images, samples = copy.deepcopy(batch)
    feats = scoring.train().extract_feat(images)
    boxes = samples[0].gt_instances.bboxes
    proposals = [InstanceData(bboxes=boxes + i) for i in range(2)]
    torch.manual_seed(3)
    for head in find_mask_iou_heads(scoring):
        head.count_zero_targets = True
    with torch.autocast('cpu', torch.bfloat16):
        parsed = scoring.roi_head.loss(feats, proposals, samples)
    for value in only_mask_iou(parsed).values():
        assert value.dtype == torch.float32
        assert value > 0
    total(parsed).backward()
    for head in find_mask_iou_heads(scoring):
        assert all(torch.isfinite(p.grad).all() for p in head.parameters())


def test_bf16_autocast_predicts(under_autocast, batch):
    scoring = under_autocast
    exact = predict(scoring, batch)
    images, samples = copy.deepcopy(batch)
    without_autocast = torch.autocast('cpu', enabled=False)  # for NMS
    scoring.roi_head.predict_bbox = without_autocast(scoring.roi_head.predict_bbox)
    with torch.no_grad():
        feats = scoring.extract_feat(images)
        proposals = scoring.rpn_head.predict(feats, samples, rescale=False)
        with torch.autocast('cpu', torch.bfloat16):
            results = scoring.roi_head.predict(feats, proposals, samples, rescale=True)
    for rounded, result in zip(results, exact):
        torch.testing.assert_close(rounded.mask_ious, result.mask_ious, atol=0.02, rtol=0)


def test_trained_alone_only_the_mask_iou_head_changes(scoring, batch):
    expected = set(only_mask_iou(losses(scoring, batch)))
    before = {name: value.clone() for name, value in scoring.state_dict().items()}
    optim_wrapper = OptimWrapper(torch.optim.SGD(scoring.parameters(), lr=0.1))
    runner = SimpleNamespace(
        model=scoring, optim_wrapper=optim_wrapper, _load_from='trained.pth', _resume=False
    )
    hook = TrainMaskIoUHeadOnlyHook()
    hook.before_run(runner)
    hook.after_load_checkpoint(runner, dict(state_dict=before))
    hook.before_train(runner)
    scoring.train()
    hook.before_train_iter(runner, 0)
    parsed = scoring.loss(*copy.deepcopy(batch))
    assert set(parsed) == expected
    optim_wrapper.update_params(total(parsed))
    changed = {name for name, v in scoring.state_dict().items() if not torch.equal(v, before[name])}
    assert changed == {name for name in before if 'mask_iou_head' in name}


@pytest.mark.parametrize('name', HOSTS)
def test_a_host_without_a_mask_branch_is_refused(name):
    cfg = tiny_host_cfg(name)
    cfg.roi_head.mask_head = None
    message = f'{cfg.roi_head.type} scores masks, but the model has no mask branch: give mask_roi'
    with pytest.raises(ValueError, match=message):
        MODELS.build(cfg)
