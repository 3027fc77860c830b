import pytest
import torch.nn.functional as F

from msrcnn_plugin.models.mask_forward import observe_mask_head

from ..hosts import HOST_WARNINGS, batch_of, losses, predict
from .seen import raw_outputs, roi_head_model, shown

pytestmark = HOST_WARNINGS
FEATURE_ONLY = dict(type='FeatureOnlyMaskIoUHead', count_zero_targets=True)


def all_masks_model(**roi_head):
    given = dict(mask_iou_head=FEATURE_ONLY)
    return roi_head_model('MSAllMasksRoIHead', **{**given, **roi_head})


def test_the_masks_of_all_classes_follow_the_feature():
    model = all_masks_model()
    with shown(model) as calls, observe_mask_head(model.roi_head.mask_head) as forwards:
        predict(model, batch_of(3))
    ((seen, _),) = calls
    roi_feats, mask_logits = forwards[-1]
    assert seen[:, :16].equal(roi_feats)
    pooled = F.max_pool2d(mask_logits.sigmoid(), 2)
    assert seen[:, 16:].equal(pooled)
    assert pooled.size(1) == 3


@pytest.mark.parametrize('sampler', [None, dict(type='DetectionSampler')])
@pytest.mark.parametrize('count', [0, 3])
def test_learns_and_scores(sampler, count):
    model, batch = all_masks_model(mask_iou_sampler=sampler), batch_of(count, 0)
    loss = losses(model, batch)['loss_mask_iou']
    loss.backward()
    assert all(param.grad is not None for param in model.roi_head.mask_iou_head.parameters())
    assert all(len(results.mask_ious) == len(results) for results in predict(model, batch))


@pytest.mark.parametrize('detach_mask', [False, True])
def test_the_masks_gradient_can_be_kept_back(detach_mask):
    model = all_masks_model(mask_iou_head=dict(detach_mask=detach_mask, **FEATURE_ONLY))
    losses(model, batch_of(3))['loss_mask_iou'].backward()
    weight = model.roi_head.mask_head.conv_logits.weight
    assert (weight.grad is None) == detach_mask


def test_one_mask_serves_all_classes_where_the_mask_head_has_one():
    model = all_masks_model(mask_head=dict(class_agnostic=True))
    assert model.roi_head.mask_iou_head.in_channels == 16 + 1
    assert all(len(results.mask_ious) == len(results) for results in predict(model, batch_of(3)))


def test_raw_outputs_have_the_predicted_iou():
    assert raw_outputs(all_masks_model(), batch_of(3))[-1].shape[1] == 3
