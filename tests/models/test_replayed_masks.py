"""Learning again from what was detected in the steps before."""

import pytest
import torch

from msrcnn_plugin.geometry import MaskIoUTarget
from msrcnn_plugin.models.detected_masks import DetectedMasks, DetectionSampler
from msrcnn_plugin.models.replayed_masks import ReplaySampler

from .detections import sample_detections
from .hosts import HOST_WARNINGS, HOSTS, batch_of, build, losses, tiny_host_cfg

pytestmark = HOST_WARNINGS
DETECTIONS = dict(type='DetectionSampler')


def detected(*names):
    """Detections that bear their number in each of their tensors."""
    number = torch.tensor(names, dtype=torch.float32)
    maps = number[:, None, None, None].expand(-1, 2, 4, 4)
    target = MaskIoUTarget(number, number > 0)
    return DetectedMasks(maps, maps[:, 0], number.long(), target)


@pytest.fixture
def replay(monkeypatch):
    """Samples of a sampler that detects what it is called with."""
    monkeypatch.setattr(DetectionSampler, '__call__', lambda self, *names: detected(*names))

    def replay(steps, samples, *batches):
        sampler = ReplaySampler(DETECTIONS, steps=steps, samples=samples)
        return [sampler(*batch) for batch in batches]

    return replay


def names(samples):
    return sorted(samples.labels.tolist())


def test_draws_of_the_last_steps_in_equal_parts(replay):
    batches = [(11, 12, 13, 14), (21, 22, 23), (31, 32), (41, 42, 43)]
    drawn = replay(3, 6, *batches)
    assert [len(samples.labels) for samples in drawn] == [2, 4, 6, 6]
    for i, samples in enumerate(drawn):
        found = names(samples)
        assert len(set(found)) == len(found)
        for batch in batches[max(0, i - 2) : i + 1]:
            assert len(set(found) & set(batch)) == 2


def test_a_step_of_few_gives_all_of_them(replay):
    *_, last = replay(2, 8, (11,), (21, 22, 23))
    assert names(last) == [11, 21, 22, 23]


def test_what_belongs_to_a_detection_stays_together(replay):
    *_, last = replay(3, 9, (11, 12, 13, 14), (21, 22, 23), (31, 32))
    for tensor in (last.roi_feats, last.mask_probs, last.target.iou):
        assert tensor.reshape(len(last.labels), -1).long().eq(last.labels[:, None]).all()
    assert last.target.valid.all()


def test_a_step_without_detections_learns_from_those_before(replay):
    nothing, first, again = replay(2, 4, (), (11, 12), ())
    assert names(nothing) == []
    assert names(first) == names(again) == [11, 12]


@pytest.mark.parametrize(('steps', 'samples'), [(0, 4), (4, 3)])
def test_no_sample_of_a_step_is_refused(steps, samples):
    with pytest.raises(ValueError, match=f'samples={samples} of steps={steps}'):
        ReplaySampler(DETECTIONS, steps=steps, samples=samples)


def replaying(name='ms_rcnn_r50_fpn'):
    cfg = tiny_host_cfg(name)
    cfg.roi_head.mask_iou_sampler = dict(
        type='ReplaySampler', sampler=dict(DETECTIONS, num=4), steps=2, samples=6
    )
    cfg.roi_head.mask_iou_head.update(count_zero_targets=True)
    return cfg


def test_the_samples_are_the_models_detections():
    model, batch = build(replaying()).eval(), batch_of(3, 2)
    everything = sample_detections(model, batch, DetectionSampler())
    sampler = model.roi_head.mask_iou_sampler
    sample_detections(model, batch, sampler)
    samples = sample_detections(model, batch, sampler)
    assert len(samples.labels) == 6
    same = (samples.mask_probs[:, None] - everything.mask_probs).abs().amax((2, 3)) < 1e-5
    alike = (samples.target.iou[:, None] - everything.target.iou).abs() < 1e-5
    assert (same & alike).any(1).all()


@pytest.mark.parametrize('name', HOSTS)
def test_every_host_learns_from_them(name):
    model = build(replaying(name))
    losses(model, batch_of(2, 3))
    loss = losses(model, batch_of(3, 0))['loss_mask_iou']
    loss.backward()
    assert loss > 0
    head = model.roi_head.mask_iou_head
    assert all(param.grad is not None for param in head.parameters())
