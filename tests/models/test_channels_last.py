"""The mask head's memory layout: other in training, the same numbers."""

import copy

import pytest
import torch
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from torch import nn

from msrcnn_plugin.models.channels_last import train_channels_last


def layouts_seen(mask_head):
    """Whether each input of the first convolution from now on is channels last."""
    seen = []
    mask_head.convs[0].register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[0].is_contiguous(memory_format=torch.channels_last))
    )
    return seen


def fcn_mask_head(**kwargs):
    torch.manual_seed(0)
    head = FCNMaskHead(num_convs=2, in_channels=8, conv_out_channels=8, num_classes=3, **kwargs)
    head.init_weights()
    return head


def test_training_sees_channels_last_and_prediction_the_hosts_layout():
    head, mask_iou_head = fcn_mask_head(), nn.Identity()
    train_channels_last(head, mask_iou_head)
    seen = layouts_seen(head)
    feats = torch.rand(4, 8, 6, 6)
    head.train()(feats)
    head.eval()(feats)  # the MaskIoU head alone is trained
    mask_iou_head.eval()
    head(feats)
    assert seen == [True, True, False]


def test_a_copy_asks_its_own_mask_iou_head():
    model = nn.ModuleDict(dict(mask_head=fcn_mask_head(), mask_iou_head=nn.Identity()))
    train_channels_last(model.mask_head, model.mask_iou_head)
    copied = copy.deepcopy(model)
    copied.mask_iou_head.eval()
    seen = layouts_seen(copied.mask_head)
    copied.mask_head(torch.rand(2, 8, 6, 6))
    assert seen == [False]


@pytest.mark.parametrize('rois', [0, 1, 5])
def test_the_numbers_of_training_are_the_hosts(rois):
    stock, arranged = fcn_mask_head(), fcn_mask_head()
    train_channels_last(arranged, nn.Identity().train(arranged.training))
    feats = torch.rand(rois, 8, 6, 6)
    torch.testing.assert_close(arranged(feats), stock(feats), atol=1e-6, rtol=1e-5)


def test_gradients_are_the_hosts_and_laid_out_as_their_weights():
    stock, arranged = fcn_mask_head(), fcn_mask_head()
    train_channels_last(arranged, nn.Identity())
    feats = torch.rand(5, 8, 6, 6)
    for head in (stock, arranged):
        head(feats).square().sum().backward()
    for ours, theirs in zip(arranged.parameters(), stock.parameters()):
        torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-5, rtol=1e-4)
        assert ours.grad.stride() == ours.stride()


def test_a_prediction_is_the_hosts_to_the_bit():
    stock, arranged = fcn_mask_head().eval(), fcn_mask_head().eval()
    train_channels_last(arranged, nn.Identity().train(arranged.training))
    feats = torch.rand(5, 8, 6, 6)
    assert torch.equal(arranged(feats), stock(feats))


def test_an_operator_of_mmcv_is_given_the_hosts_layout():
    carafe = dict(
        type='carafe', scale_factor=2, up_kernel=5, up_group=1, encoder_kernel=3, encoder_dilation=1
    )
    head = fcn_mask_head(upsample_cfg=carafe)
    train_channels_last(head, nn.Identity())
    assert not head._forward_pre_hooks


def test_a_head_that_is_not_mmdets_is_left_alone():
    class Flat(nn.Module):
        def forward(self, feats):
            return feats.view(len(feats), -1)

    head = Flat()
    train_channels_last(head, nn.Identity())
    assert head(torch.rand(2, 3, 4, 4)).shape == (2, 48)
