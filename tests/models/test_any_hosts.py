"""What holds for every detector without RoI heads."""

import copy
from types import SimpleNamespace
from unittest.mock import patch

import pytest
import torch
from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmengine.optim import OptimWrapper

from msrcnn_plugin.hooks import TrainMaskIoUHeadOnlyHook

from .any_hosts import (
    HOST_WARNINGS,
    HOSTS,
    QUERIES,
    SIDE,
    batch_of,
    host_pair,
    losses,
    predict,
)

pytestmark = HOST_WARNINGS
ADDED = {'mask_ious', 'mask_scores'}


@pytest.fixture(scope='module', params=HOSTS)
def models(request):
    """A host with mask scoring, and mmdet's own with its weights; to be left as they are."""
    torch.manual_seed(0)
    return host_pair(request.param)


@pytest.fixture
def scoring(models):
    """A host with mask scoring, to be changed."""
    return copy.deepcopy(models[0])


@pytest.fixture(scope='module')
def batch():
    """Two images, one of them without objects."""
    return batch_of(3, 0)


def test_predictions_are_the_hosts_to_the_bit(models, batch):
    for ours, theirs in zip(*(predict(model, batch) for model in models)):
        assert len(ours) > 1
        assert set(ours.keys()) == set(theirs.keys()) | ADDED
        for name in sorted(theirs.keys()):
            assert torch.equal(ours[name], theirs[name]), name
        assert ((ours.mask_ious >= 0) & (ours.mask_ious <= 1)).all()
        assert torch.equal(ours.mask_scores, ours.scores * ours.mask_ious)
        assert vars(ours.masks) == {}  # the probabilities are freed


def test_the_emitted_mask_is_scored(scoring, batch):
    images, samples = copy.deepcopy(batch)
    with torch.no_grad():
        found = scoring.eval().detect(images, samples)
    for sample, looks, boxes in zip(found.samples, found.looks, found.boxes):
        masks, probs = sample.pred_instances.masks, looks.mask_probs
        assert torch.equal(boxes, looks.boxes)  # this image is not resized
        assert probs.shape == (len(masks), 28, 28)
        # The mask fills 1 / 1.25 of each side; the share of its pixels is that of the grid's cells.
        sides = boxes[:, 2:] - boxes[:, :2]
        share = masks.sum((1, 2)) / (sides[:, 0] * sides[:, 1])
        large = (sides.amin(1) > 28) & (share > 0)
        grid = (probs > 0.5).float().mean((1, 2))
        assert ((grid - share)[large].abs() < 0.15).all()
        is_soft = ((probs > 0.01) & (probs < 0.99) & (probs != 0.5)).any()
        assert is_soft


def test_a_batch_of_mixed_sizes_gives_what_its_images_give(scoring):
    images, samples = batch_of(2, 3, shapes=[(96, SIDE), (SIDE, 80)])
    together = predict(scoring, (images, samples))
    for i, expected in enumerate(together):
        (alone,) = predict(scoring, (images[i : i + 1], samples[i : i + 1]))
        # Random weights magnify the rounding: a pixel at the cut may fall on its other side.
        torch.testing.assert_close(alone.scores, expected.scores, atol=1e-3, rtol=0)
        close = (alone.mask_ious - expected.mask_ious).abs() < 0.01
        assert close.float().mean() >= 0.8


@pytest.mark.parametrize('empty', ['one', 'both'])
def test_images_without_instances_have_the_fields(scoring, batch, empty):
    given = scoring.add_pred_to_datasample

    def without(samples, results_list):
        nested = [results['ins_results'] for results in results_list if 'ins_results' in results]
        if nested:
            results_list[-1]['ins_results'] = nested[-1][:0]
            return given(samples, results_list)
        return given(samples, [*results_list[:-1], results_list[-1][:0]])

    if empty == 'one':
        scoring.add_pred_to_datasample = without
    elif type(scoring).__name__ in ('MSMask2Former', 'MSMaskFormer', 'MSQueryInst'):
        pytest.skip('the host always predicts its best k')
    else:
        for head in (scoring.bbox_head, getattr(scoring, 'mask_head', None)):
            if head is not None and 'score_thr' in (head.test_cfg or {}):
                head.test_cfg.score_thr = 2.0
    results = predict(scoring, batch)
    assert [len(r.scores) == 0 for r in results] == [empty == 'both', True]
    for r in results:
        assert r.mask_ious.dtype == r.mask_scores.dtype == torch.float32
        assert r.mask_ious.shape == r.mask_scores.shape == r.scores.shape


def test_trained_alone_only_the_mask_iou_head_changes(scoring, batch):
    scoring.data_preprocessor = DetDataPreprocessor()
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
    images, samples = copy.deepcopy(batch)
    parsed = scoring.loss(images, samples)
    assert set(parsed) == {'loss_mask_iou'}
    assert parsed['loss_mask_iou'] > 0
    optim_wrapper.update_params(parsed['loss_mask_iou'])
    hook.after_train(runner)
    assert not scoring.only_mask_iou_loss
    changed = {name for name, v in scoring.state_dict().items() if not torch.equal(v, before[name])}
    assert changed == {name for name in before if name.startswith('mask_iou_head')} - {
        'mask_iou_head.predicts_iou_logits'
    }


def test_the_hosts_losses_are_unchanged(models, batch):
    name = type(models[0]).__name__
    if name == 'MSBoxInst':
        pytest.skip('it learns from boxes, its MaskIoU head from masks, so not together')
    theirs = losses(copy.deepcopy(models[1]), batch)
    scoring = copy.deepcopy(models[0])
    # Drawing samples, as for the head, would change the random numbers of the host.
    with patch.object(torch, 'multinomial', side_effect=AssertionError):
        ours = losses(scoring, batch)
    assert set(ours) - set(theirs) == {'loss_mask_iou'}
    assert ours['loss_mask_iou'] > 0
    for key, value in theirs.items():
        torch.testing.assert_close(ours[key], value, atol=1e-6, rtol=1e-5)
    total = sum(
        part.sum()
        for key, value in ours.items()
        if 'loss' in key
        for part in (value if isinstance(value, (list, tuple)) else [value])
    )
    total.backward()
    for key, weight in scoring.mask_iou_head.named_parameters():
        assert weight.grad.abs().max() > 0, key


def test_queries_are_those_that_have_no_threshold():
    assert set(QUERIES) < set(HOSTS)
