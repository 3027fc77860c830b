import copy

import pytest
import torch
import torch.nn.functional as F

from msrcnn_plugin.models.detected_masks import DetectionSampler

from ..detections import sample_detections
from ..hosts import HOST_WARNINGS, batch_of, losses, predict
from .seen import raw_outputs, roi_head_model, shown

pytestmark = HOST_WARNINGS


def fine_model(**roi_head):
    given = dict(mask_iou_head=dict(count_zero_targets=True))
    return roi_head_model('MSFineFeatureRoIHead', **{**given, **roi_head})


def test_the_feature_has_the_size_of_the_mask():
    model = fine_model()
    assert model.roi_head.mask_iou_head.roi_feat_size == (28, 28)
    with shown(model) as calls:
        predict(model, batch_of(3, 2))
    ((feats, probs),) = calls
    assert feats.shape[1:] == (16, 28, 28)
    assert probs.shape == (len(feats), 28, 28)


def test_it_is_the_mask_heads_but_finer():
    # With one sample a cell of the fine feature, and four a cell of the other, these are the same.
    model = fine_model(mask_roi_extractor=dict(roi_layer=dict(sampling_ratio=2)))
    for layer in model.roi_head.fine_roi_extractor.roi_layers:
        layer.sampling_ratio = 1
    found = sample_detections(model.eval(), batch_of(3), DetectionSampler())
    ((_, fine),) = model.roi_head._scoring_pairs(found.forwards)
    coarse = F.avg_pool2d(fine, 2)
    torch.testing.assert_close(coarse, found.forwards[-1].roi_feats, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize('sampler', [None, dict(type='DetectionSampler')])
@pytest.mark.parametrize('count', [0, 3])
def test_learns_and_scores(sampler, count):
    model, batch = fine_model(mask_iou_sampler=sampler), batch_of(count, 0)
    loss = losses(model, batch)['loss_mask_iou']
    loss.backward()
    assert all(param.grad is not None for param in model.roi_head.mask_iou_head.parameters())
    assert all(len(results.mask_ious) == len(results) for results in predict(model, batch))


def test_replayed_samples_are_refused():
    detections = dict(type='DetectionSampler')
    model = fine_model(mask_iou_sampler=dict(type='ReplaySampler', sampler=detections))
    with pytest.raises(ValueError, match='which a ReplaySampler does not keep'):
        losses(model, batch_of(3))


def test_from_detections_nothing_but_the_head_learns():
    model = fine_model(mask_iou_sampler=dict(type='DetectionSampler'))
    losses(model, batch_of(3))['loss_mask_iou'].backward()
    learned = {name for name, param in model.named_parameters() if param.grad is not None}
    assert learned
    assert all('mask_iou_head' in name for name in learned)


def test_from_detections_no_feature_is_extracted_that_is_not_scored():
    model = fine_model(mask_iou_sampler=dict(type='DetectionSampler'))
    sizes = []
    model.roi_head.fine_roi_extractor.register_forward_hook(
        lambda _, inputs, feats: sizes.append(len(feats))
    )
    with shown(model) as calls:
        losses(model, batch_of(3))
    ((feats, _),) = calls
    assert sizes == [len(feats)]


def test_without_a_detection_nothing_of_the_positives_is_kept():
    model = fine_model(mask_iou_sampler=dict(type='DetectionSampler'))
    model.test_cfg.rcnn.score_thr = model.roi_head.test_cfg.score_thr = 2.0
    losses(model, batch_of(3))
    twin = copy.deepcopy(model)  # torch refuses to copy what holds a graph
    assert all(len(results.mask_ious) == 0 for results in predict(twin, batch_of(3)))


def test_a_copy_sees_its_own_features():
    model = fine_model()
    twin = copy.deepcopy(model)
    (before,) = predict(twin, batch_of(3))
    predict(model, batch_of(2, 1))
    (after,) = predict(twin, batch_of(3))
    assert after.mask_ious.equal(before.mask_ious)


def test_no_detections():
    model = fine_model()
    model.test_cfg.rcnn.score_thr = model.roi_head.test_cfg.score_thr = 2.0
    assert all(len(results.mask_ious) == 0 for results in predict(model, batch_of(3, 0)))


def test_raw_outputs_have_the_predicted_iou():
    assert raw_outputs(fine_model(), batch_of(3))[-1].shape[1] == 3


def test_a_shared_extractor_is_refused():
    with pytest.raises(ValueError, match='give a mask_roi_extractor'):
        fine_model(mask_roi_extractor=None)
