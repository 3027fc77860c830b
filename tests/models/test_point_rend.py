import copy

import pytest
import torch
from mmdet.structures.bbox import bbox2roi

from msrcnn_plugin.models.mask_forward import observe_mask_head

from .hosts import HOST_WARNINGS, batch_of, build, losses, predict, tiny_host_cfg

pytestmark = HOST_WARNINGS


@pytest.fixture
def model():
    return build(tiny_host_cfg('point_rend_ms_rcnn_r50_fpn'))


def test_learns_from_the_hosts_refinement_at_28_px(model):
    """All of whose points its point head predicts: two subdivisions of the 7 px mask."""
    head = model.roi_head
    seen = {}

    def mask_loss(x, sampling_results, *args):
        with observe_mask_head(head.mask_head) as forwards:
            result = original(x, sampling_results, *args)
        seen.update(x=x, sampling_results=sampling_results, coarse=forwards[-1].mask_logits)
        return result

    original, head.mask_loss = head.mask_loss, mask_loss
    head.mask_iou_head.register_forward_pre_hook(lambda _, inputs: seen.update(probs=inputs[1]))
    losses(model, batch_of(3, 2))

    head.test_cfg = copy.deepcopy(head.test_cfg)
    head.test_cfg.subdivision_steps = 2
    rois = bbox2roi([res.pos_priors for res in seen['sampling_results']])
    labels = torch.cat([res.pos_gt_labels for res in seen['sampling_results']])
    refined = head._mask_point_forward_test(seen['x'], rois, labels, seen['coarse'])
    expected = refined[torch.arange(len(labels)), labels].sigmoid()
    assert expected.shape[1:] == (28, 28)
    assert len(expected) > 3
    torch.testing.assert_close(seen['probs'], expected)


def test_no_gradient_comes_through_the_refinement(model):
    losses(model, batch_of(3))['loss_mask_iou'].backward()
    assert all(p.grad is None for p in model.roi_head.point_head.parameters())
    assert all(p.grad is not None for p in model.roi_head.mask_iou_head.parameters())


def test_scores_the_refined_mask(model):
    sizes = []
    model.roi_head.mask_iou_head.register_forward_pre_hook(
        lambda _, inputs: sizes.append(tuple(inputs[1].shape[1:]))
    )
    predict(model, batch_of(3))
    assert sizes == [(224, 224)]


def test_a_batch_without_positives_has_a_point_loss_of_zero(model):
    """mmdet's own fails."""
    loss = losses(model, batch_of(0))['loss_point']
    assert loss.item() == 0
    loss.backward()
    assert all(not p.grad.any() for p in model.roi_head.point_head.parameters())
