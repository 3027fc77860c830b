"""A model that would be exported with other numbers is refused by the name of the part."""

import pytest
from mmcv import ops
from mmdet.registry import MODELS
from torch import nn

from msrcnn_plugin.export import DeploymentModel

from ..conftest import build_tiny_model


@pytest.fixture
def model():
    return build_tiny_model()


@pytest.mark.parametrize('name', ['Cascade', 'HTC', 'SCNet', 'PointRend', 'DoubleHead'])
def test_hosts_that_are_not_supported(name, model):
    model.roi_head.__class__ = MODELS.get(f'MS{name}RoIHead')
    with pytest.raises(ValueError, match=f'is a MS{name}RoIHead, which cannot be exported'):
        DeploymentModel(model)


def soft_nms(model):
    model.roi_head.test_cfg.nms = dict(type='soft_nms', iou_threshold=0.5)


def rank_head(model):
    model.roi_head.mask_rank_head = nn.Identity()


def own_iou_head(model):
    head = model.roi_head.mask_iou_head
    head.__class__ = type('MyMaskIoUHead', (type(head),), {})


def own_decoding(model):
    model.rpn_head.bbox_coder.add_ctr_clamp = True


def max_pooling(model):
    model.roi_head.mask_roi_extractor.roi_layers[0].pool_mode = 'max'


def deformed(model):
    model.backbone.layer1[0].conv1 = ops.ModulatedDeformConv2dPack(8, 8, 3)


@pytest.mark.parametrize(
    ('change', 'problem'),
    [
        (soft_nms, 'test_cfg.rcnn.nms is .*soft_nms.*, not plain NMS'),
        (rank_head, 'the model has a mask_rank_head'),
        (own_iou_head, 'mask_iou_head is a MyMaskIoUHead, not a MSMaskIoUHead'),
        (own_decoding, 'the bbox_coder of rpn_head has add_ctr_clamp'),
        (max_pooling, "mask_roi_extractor pools with pool_mode='max'"),
        (deformed, 'layer1.0.conv1 is a ModulatedDeformConv2dPack, an operator that ONNX'),
    ],
    ids=lambda value: getattr(value, '__name__', ''),
)
def test_parts_that_are_not_supported(change, problem, model):
    change(model)
    with pytest.raises(ValueError, match=problem):
        DeploymentModel(model)


def test_a_model_without_a_roi_head():
    with pytest.raises(ValueError, match='is a Identity, which has no RoI head'):
        DeploymentModel(nn.Identity())


def test_a_model_without_a_mask_iou_head():
    with pytest.raises(ValueError, match='the RoI head is a StandardRoIHead'):
        DeploymentModel(build_tiny_model('StandardRoIHead'))
