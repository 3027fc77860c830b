import copy

import pytest
import torch.nn.functional as F
from mmengine.config import Config

import projects.ablations.components  # noqa: F401  (registers them)
from msrcnn_plugin.models.mask_forward import observe_mask_head

from ...models.hosts import HOST_WARNINGS, batch_of, build, losses, predict, tiny_host_cfg

pytestmark = HOST_WARNINGS
DETECTIONS = dict(type='DetectionSampler')
REPLAY = dict(type='ReplaySampler', sampler=DETECTIONS)
HEADS = dict(MSAllMasksRoIHead='FeatureOnlyMaskIoUHead', MSFineFeatureRoIHead='MSMaskIoUHead')
every_head = pytest.mark.parametrize('name', HEADS)


def model_with(name, **roi_head):
    cfg = Config(dict(model=tiny_host_cfg('ms_rcnn_r50_fpn')))
    head = dict(type=HEADS[name], count_zero_targets=True)
    cfg.merge_from_dict(dict(model=dict(roi_head=dict(type=name, mask_iou_head=head))))
    cfg.merge_from_dict(dict(model=dict(roi_head=roi_head)))
    return build(cfg.model)


def shown(model):
    """What the MaskIoU head is given from now on."""
    calls = []
    model.roi_head.mask_iou_head.register_forward_pre_hook(lambda _, inputs: calls.append(inputs))
    return calls


def test_the_masks_of_all_classes_follow_the_feature():
    model = model_with('MSAllMasksRoIHead')
    calls = shown(model)
    with observe_mask_head(model.roi_head.mask_head) as seen:
        predict(model, batch_of(3))
    (((feats, _),), (roi_feats, mask_logits)) = calls, seen[-1]
    assert feats[:, :16].equal(roi_feats)
    assert feats[:, 16:].equal(F.max_pool2d(mask_logits.sigmoid(), 2))
    assert feats.size(1) == 16 + 3


@pytest.mark.parametrize('detach_mask', [False, True])
def test_the_masks_gradient_can_be_kept_back(detach_mask):
    model = model_with('MSAllMasksRoIHead', mask_iou_head=dict(detach_mask=detach_mask))
    losses(model, batch_of(3))['loss_mask_iou'].backward()
    assert (model.roi_head.mask_head.conv_logits.weight.grad is None) == detach_mask


def test_the_fine_feature_is_the_mask_heads_but_finer():
    # With one sample a cell of the fine feature, and four a cell of the other, these are the same.
    extractor = dict(roi_layer=dict(sampling_ratio=2))
    model = model_with('MSFineFeatureRoIHead', mask_roi_extractor=extractor)
    for layer in model.roi_head.fine_roi_extractor.roi_layers:
        layer.sampling_ratio = 1
    calls = shown(model)
    with observe_mask_head(model.roi_head.mask_head) as seen:
        predict(model, batch_of(3, 2))
    ((feats, probs),) = calls
    assert feats.shape[2:] == probs.shape[1:] == (28, 28)
    coarse = F.avg_pool2d(feats, 2)
    assert (coarse - seen[-1].roi_feats).abs().max() < 1e-4


@every_head
@pytest.mark.parametrize(('count', 'sampler'), [(3, None), (3, DETECTIONS), (0, REPLAY)])
def test_learns_and_scores(name, count, sampler):
    model, batch = model_with(name, mask_iou_sampler=sampler), batch_of(count, 0)
    losses(model, batch)['loss_mask_iou'].backward()
    learned = {n for n, param in model.named_parameters() if param.grad is not None}
    head = {n for n, _ in model.named_parameters() if 'mask_iou_head' in n}
    assert learned >= head
    assert sampler is None or learned == head
    twin = copy.deepcopy(model)  # torch refuses to copy what holds a graph
    assert all(len(results.mask_ious) == len(results) for results in predict(twin, batch))
    images, samples = batch
    assert model.eval()(images, samples, mode='tensor')[-1][-1].shape[1] == 3


def test_fine_features_of_a_shared_extractor_are_refused():
    with pytest.raises(ValueError, match='give a mask_roi_extractor'):
        model_with('MSFineFeatureRoIHead', mask_roi_extractor=None)
