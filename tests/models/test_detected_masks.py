"""The MaskIoU head that learns from what the model detects."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from mmengine.structures import InstanceData

from msrcnn_plugin.geometry import MaskIoUTarget
from msrcnn_plugin.hooks.mask_iou_heads import find_mask_iou_heads
from msrcnn_plugin.models.detected_masks import DetectionSampler, detection_target

from .detections import detections, image, rectangle, sample_detections
from .hosts import HOST_WARNINGS, HOSTS, batch_of, build, losses, pair, predict, tiny_host_cfg

pytestmark = HOST_WARNINGS
SAMPLER = dict(type='DetectionSampler')


def host_cfg(name='ms_rcnn_r50_fpn', **mask_iou_head):
    cfg = tiny_host_cfg(name)
    cfg.roi_head.mask_iou_sampler = SAMPLER
    cfg.roi_head.mask_iou_head.update(count_zero_targets=True, **mask_iou_head)
    return cfg


class TestTarget:
    def test_is_the_largest_iou_with_a_truth_of_the_class(self):
        sample = image(rectangle(0, 0, 8, 10), rectangle(0, 0, 10, 10), labels=[0, 1])
        found = detections(*[rectangle(0, 0, 10, 10)] * 3, labels=[0, 1, 2])
        target = detection_target(found.masks, found.labels, sample)
        torch.testing.assert_close(target.iou, torch.tensor([0.8, 1.0, 0.0]))
        assert target.valid.all()

    def test_is_none_in_a_crowd_of_the_class(self):
        sample = image(crowds=[rectangle(10, 0, 20, 10)])
        found = detections(
            rectangle(9, 0, 20, 4),
            rectangle(0, 0, 12, 10),
            rectangle(10, 0, 20, 4),
            labels=[0, 0, 1],
        )
        target = detection_target(found.masks, found.labels, sample)
        assert target.iou.tolist() == [0, 0, 0]
        assert target.valid.tolist() == [False, True, True]

    def test_is_that_of_the_object_found_in_a_crowd(self):
        sample = image(rectangle(10, 0, 15, 4), labels=[0], crowds=[rectangle(10, 0, 20, 10)])
        found = detections(rectangle(10, 0, 15, 3), rectangle(10, 0, 20, 10), labels=[0, 0])
        target = detection_target(found.masks, found.labels, sample)
        torch.testing.assert_close(target.iou, torch.tensor([0.75, 0.2]))
        assert target.valid.tolist() == [True, False]

    @pytest.mark.parametrize('crowds', [[], [rectangle(10, 0, 20, 10)]])
    def test_crowds_that_are_not_padded_with_the_image(self, crowds):
        sample = image(rectangle(0, 0, 2, 2), labels=[0], crowds=crowds)
        sample.gt_instances.masks = sample.gt_instances.masks.pad((32, 32))
        found = InstanceData(masks=torch.zeros(1, 32, 32, dtype=bool), labels=torch.tensor([0]))
        found.masks[0, :4, 10:20] = True
        assert detection_target(found.masks, found.labels, sample).valid.tolist() == [not crowds]

    def test_of_nothing(self):
        nothing = detections(labels=[])
        for sample in image(labels=[]), image(rectangle(0, 0, 2, 2), labels=[0]):
            assert detection_target(nothing.masks, nothing.labels, sample).iou.shape == (0,)

    def test_without_ignored_instances(self):
        sample = image(rectangle(0, 0, 2, 2), labels=[0])
        del sample.ignored_instances
        found = detections(rectangle(0, 0, 2, 2), labels=[0])
        assert detection_target(found.masks, found.labels, sample).iou == 1


@pytest.fixture
def batch():
    """Two images, one of them without objects."""
    return batch_of(3, 0)


def test_the_samples_are_the_models_predictions(batch):
    model = build(host_cfg()).eval()
    expected = predict(model, batch)
    samples = sample_detections(model, batch, DetectionSampler())
    assert samples.labels.equal(torch.cat([results.labels for results in expected]))
    assert samples.mask_probs.shape == (len(samples.labels), 28, 28)
    targets = [
        detection_target(results.masks, results.labels, sample)
        for results, sample in zip(expected, batch[1])
    ]
    assert samples.target.iou.equal(torch.cat([target.iou for target in targets]))
    assert samples.target.iou.max() > 0
    assert samples.target.iou[-len(expected[1]) :].max() == 0  # the image without objects


class TestDrawing:
    def scores(self, *scores):
        return InstanceData(scores=torch.tensor(scores))

    @pytest.mark.parametrize('num', [None, 3, 4])
    def test_keeps_all_where_there_are_no_more(self, num):
        results = self.scores(0.9, 0.5, 0.1)
        assert DetectionSampler(num)._draw(results) is results

    @given(st.lists(st.floats(0, 1), max_size=8), st.integers(1, 9), st.sampled_from([0.0, 0.5, 1]))
    def test_draws_so_many_none_of_them_twice_in_their_order(self, scores, num, score_power):
        results = InstanceData(place=torch.arange(len(scores)), scores=torch.tensor(scores))
        drawn = DetectionSampler(num, score_power)._draw(results)
        assert len(drawn) == min(num, len(scores))
        assert (drawn.place.diff() > 0).all()
        assert drawn.scores.equal(results.scores[drawn.place])

    @pytest.mark.parametrize(('score_power', 'expected'), [(0, 0.5), (1, 0.8), (2, 16 / 17)])
    def test_draws_by_score(self, score_power, expected):
        sampler, results = DetectionSampler(1, score_power), self.scores(0.8, 0.2)
        drawn = torch.cat([sampler._draw(results).scores for _ in range(2000)])
        assert (drawn == 0.8).float().mean().item() == pytest.approx(expected, abs=0.05)

    @pytest.mark.parametrize('name', HOSTS)
    def test_masks_are_predicted_for_the_drawn_alone(self, name, batch):
        model = build(host_cfg(name)).eval()
        before = vars(model.roi_head).copy()
        everything, drawn = (
            sample_detections(model, batch, DetectionSampler()),
            sample_detections(model, batch, DetectionSampler(num=2)),
        )
        assert vars(model.roi_head) == before
        assert len(everything.labels) > 4
        assert len(drawn.labels) == len(drawn.mask_probs) == len(drawn.target.iou) == 4
        assert len(drawn.roi_feats) == 4
        same = (drawn.mask_probs[:, None] - everything.mask_probs).abs().amax((2, 3)) < 1e-5
        assert same.any(1).all()

    def test_of_nothing_is_refused(self):
        with pytest.raises(ValueError, match='num=0; give 1 or more, or None'):
            DetectionSampler(num=0)


@pytest.mark.parametrize('name', HOSTS)
def test_the_host_learns_what_it_would_without_a_mask_score(name, batch):
    """Losses and gradients; the MaskIoU head alone has one more."""
    scoring, stock = pair(host_cfg(name), HOSTS[name])
    ours, theirs = losses(scoring, batch), losses(stock, batch)
    assert set(ours) - set(theirs) == {'loss_mask_iou'}
    for name, loss in theirs.items():
        torch.testing.assert_close(ours[name], loss, atol=1e-6, rtol=1e-5)
    ours['loss_mask_iou'].backward()
    reached = {name for name, param in scoring.named_parameters() if param.grad is not None}
    (head,) = find_mask_iou_heads(scoring)
    assert reached == {f'roi_head.mask_iou_head.{name}' for name, _ in head.named_parameters()}
    assert head.fc_mask_iou.weight.grad.abs().sum() > 0


@pytest.mark.parametrize('name', HOSTS)
def test_alone_the_loss_is_the_same(name, batch):
    model = build(host_cfg(name))
    expected = losses(model, batch)['loss_mask_iou']
    model.roi_head.only_mask_iou_loss = True
    given = {loss: value for loss, value in losses(model, batch).items() if 'rpn' not in loss}
    assert set(given) == {'loss_mask_iou'}
    torch.testing.assert_close(given['loss_mask_iou'], expected)


def test_sampling_leaves_no_trace(batch):
    model = build(host_cfg()).train()
    frozen = model.roi_head.bbox_head.eval()
    modes = [module.training for module in model.modules()]
    sample_detections(model, batch, DetectionSampler())
    assert [module.training for module in model.modules()] == modes
    assert not frozen.training
    assert all('mask_ious' in results for results in predict(model, batch))


def test_without_detections_the_loss_is_zero_and_reaches_the_head(batch):
    cfg = host_cfg()
    cfg.test_cfg.rcnn.score_thr = 2.0
    model = build(cfg)
    loss = losses(model, batch)['loss_mask_iou']
    loss.backward()
    assert loss == 0
    (head,) = find_mask_iou_heads(model)
    assert all(param.grad is not None for param in head.parameters())


def test_heads_of_stages_that_would_not_learn_are_refused():
    cfg = host_cfg('cascade_ms_rcnn_r50_fpn')
    cfg.roi_head.mask_iou_head = [cfg.roi_head.mask_iou_head] * 3
    with pytest.raises(ValueError, match='the others would never learn'):
        build(cfg)


class TestBinaryCrossEntropy:
    @pytest.fixture
    def model(self):
        return build(
            host_cfg(loss_iou=dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0))
        )

    def test_the_prediction_is_the_sigmoid(self, model, batch):
        (head,) = find_mask_iou_heads(model)
        head.fc_mask_iou.weight.data.zero_()
        head.fc_mask_iou.bias.data.fill_(-2.0)
        for results in predict(model, batch):
            expected = torch.sigmoid(torch.tensor(-2.0)).expand(len(results))
            torch.testing.assert_close(results.mask_ious, expected)

    def test_the_loss_is_that_of_torch(self, model):
        (head,) = find_mask_iou_heads(model)
        logits, target = torch.randn(6, 3), torch.rand(6)
        labels, valid = torch.arange(6) % 3, torch.arange(6) != 2
        loss = head.loss(logits, labels, MaskIoUTarget(target, valid))
        chosen = logits[torch.arange(6), labels]
        expected = F.binary_cross_entropy_with_logits(chosen[valid], target[valid])
        torch.testing.assert_close(loss['loss_mask_iou'], expected)
