"""The frames of masks, boxes and ground truth: hosts that emit the truth have targets near 1."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData

from msrcnn_plugin.models.emitted_masks import EmittedMasks, enlarged, look_at, mask_boxes

from .any_hosts import HOST_WARNINGS, SIDE, batch_of, build, tiny_cfg

pytestmark = HOST_WARNINGS
# Metadata of an image whose input, 96 x 112, is padded to 128 x 128.
FRAMES = {
    'padded': dict(img_shape=(96, 112), ori_shape=(96, 112), scale_factor=(1.0, 1.0)),
    'enlarged': dict(img_shape=(96, 112), ori_shape=(48, 56), scale_factor=(2.0, 2.0)),
    'keep_ratio=False': dict(img_shape=(96, 112), ori_shape=(192, 56), scale_factor=(2.0, 0.5)),
}


def truth_batch(frame):
    images, (sample,) = batch_of(3, shapes=[(96, 112)])
    sample.set_metainfo(FRAMES[frame])
    masks = sample.gt_instances.masks.masks
    sample.gt_instances.masks = BitmapMasks(masks, SIDE, SIDE)  # padded, as by the preprocessor
    return images, [sample]


def emit_truth_of_queries(model, gts):
    masks = gts.masks.to_tensor(torch.float32, 'cpu')
    small = F.avg_pool2d(masks[None], 4)
    logits = F.interpolate(small, (SIDE, SIDE), mode='bilinear') * 20 - 10
    classes = torch.full((1, len(masks), 4), -9.0)
    classes[0, torch.arange(len(masks)), gts.labels] = 9.0
    predict = model.panoptic_head.predict  # through the pixel decoder, which is observed
    model.panoptic_head.predict = lambda *given: (predict(*given), (classes, logits))[1]
    model.panoptic_fusion_head.test_cfg.max_per_image = len(masks)


def emit_truth_of_rtmdet(model, gts):
    head, post_process = model.bbox_head, model.bbox_head._bbox_mask_post_process
    logits = F.avg_pool2d(gts.masks.to_tensor(torch.float32, 'cpu')[None], 8)[0] * 20 - 10

    def with_truth(results, *args, **kwargs):
        count = len(gts.labels)
        scores = torch.linspace(0.9, 0.8, count)
        truth = InstanceData(
            bboxes=gts.bboxes.clone(), scores=scores, labels=gts.labels,
            kernels=torch.zeros(count, 1), priors=torch.zeros(count, 4),
        )  # fmt: skip
        return post_process(truth, *args, **kwargs)

    head._bbox_mask_post_process = with_truth
    head._mask_predict_by_feat_single = lambda *_: logits.clone()


EMITTERS = {'mask2former_r50': emit_truth_of_queries, 'rtmdet_ins_tiny': emit_truth_of_rtmdet}


@pytest.fixture(scope='module', params=EMITTERS)
def emitting(request):
    model = build(tiny_cfg(request.param)).eval()
    return model, EMITTERS[request.param]


@pytest.mark.parametrize('frame', FRAMES)
def test_a_host_that_emits_the_truth_has_targets_near_one(emitting, frame):
    model, emit = emitting
    model = copy.deepcopy(model)
    images, samples = truth_batch(frame)
    emit(model, samples[0].gt_instances)
    before = samples[0].gt_instances.masks
    found = model.mask_iou_sampler(model, images, samples)
    assert len(found.labels) == 3
    assert found.target.valid.all()
    assert found.target.iou.mean() > 0.94
    assert samples[0].gt_instances.masks is before
    assert samples[0].ori_shape == FRAMES[frame]['ori_shape']


@pytest.mark.parametrize('frame', FRAMES)
def test_features_are_taken_where_the_mask_is(frame):
    model = build(tiny_cfg('mask2former_r50')).eval()
    images, samples = truth_batch(frame)
    gts = samples[0].gt_instances
    emit_truth_of_queries(model, gts)
    with torch.no_grad():
        found = model.detect(images, samples)
    (result,), (boxes,) = found.samples, found.boxes
    assert tuple(result.pred_instances.masks.shape[1:]) == FRAMES[frame]['ori_shape']
    order = result.pred_instances.labels.argsort()
    # A pixel of the original image is up to two of the input, on each side, and enlarged.
    assert (boxes[order] - enlarged(gts.bboxes)).abs().max() <= 4


def test_boxes_of_masks():
    masks = torch.zeros(3, 6, 8, dtype=torch.bool)
    masks[0, 2:4, 1:6] = True
    masks[1, 5, 7] = True
    expected = torch.tensor([[1.0, 2, 6, 4], [7, 5, 8, 6], [0, 0, 1, 1]])
    assert torch.equal(mask_boxes(masks), expected)
    assert mask_boxes(masks[:0]).shape == (0, 4)
    assert torch.equal(enlarged(expected[:1], 1.5), torch.tensor([[-0.25, 1.5, 7.25, 4.5]]))


def test_a_look_is_the_mask_on_the_grid_of_its_box():
    masks = torch.zeros(20, 70, 70, dtype=torch.bool)
    masks[:, 10:66, 10:66] = True
    looks = look_at(masks, masks)
    assert looks.mask_probs.shape == (20, 28, 28)
    # 1 / 1.25 of each side: cells 2.8 to 25.2.
    inside = torch.zeros(28, 28)
    inside[3:25, 3:25] = 1
    assert torch.equal((looks.mask_probs[7] > 0.99).float(), inside)
    assert looks.mask_probs[:, :2].max() == 0
    assert look_at(masks[:0], masks[:0]).mask_probs.shape == (0, 28, 28)


def test_an_empty_mask_is_looked_at():
    masks = torch.zeros(1, 8, 8, dtype=torch.bool)
    assert torch.equal(look_at(masks, masks).mask_probs, torch.zeros(1, 28, 28))


@pytest.mark.parametrize('cut', ['probabilities', 'logits', 'converted'])
def test_the_soft_mask_behind_an_emitted_one_is_seen(cut):
    probs = torch.rand(2, 12, 12) * 0.98 + 0.01
    with EmittedMasks() as emitted:
        first = torch.rand(4, 6, 6) > 0.5  # on the way, and dropped
        first = first[:2]
        if cut == 'logits':
            masks = torch.logit(probs) > 0
        elif cut == 'converted':
            masks = (torch.logit(probs) > 0).float().bool()
        else:
            masks = probs > 0.5
        other = torch.rand(3, 6, 6) > 0.5
    results = InstanceData(masks=masks, scores=torch.ones(2))
    seen = emitted.looks_of(results).mask_probs
    expected = look_at(masks, torch.logit(probs) if cut in ('logits', 'converted') else probs)
    expected = expected.mask_probs.sigmoid() if cut in ('logits', 'converted') else expected[1]
    assert torch.equal(seen, expected)
    assert len(emitted.looks_of(InstanceData(masks=other, scores=torch.ones(3))).boxes) == 3


def test_where_no_cut_was_seen_the_binary_mask_is_looked_at():
    masks = torch.from_numpy(np.eye(8)[None] > 0)
    with EmittedMasks() as emitted:
        pass
    looks = emitted.looks_of(InstanceData(masks=masks, scores=torch.ones(1)))
    assert torch.equal(looks.mask_probs, look_at(masks, masks).mask_probs)
