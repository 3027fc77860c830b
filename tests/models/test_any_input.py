"""Wrong configs of a detector with mask scoring: one clear line each."""

import copy
from unittest.mock import patch

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import ConfigDict

from .any_hosts import HOST_WARNINGS, batch_of, build, predict, tiny_cfg

pytestmark = HOST_WARNINGS


def refused(cfg, message):
    with pytest.raises(ValueError, match=message) as error, torch.device('meta'):
        MODELS.build(cfg)
    assert '\n' not in str(error.value)


def test_a_detector_without_masks():
    cfg = tiny_cfg('rtmdet_ins_tiny')
    cfg.bbox_head.type = 'RTMDetSepBNHead'
    for key in ('num_prototypes', 'loss_mask'):
        cfg.bbox_head.pop(key, None)
    refused(cfg, 'MSRTMDet scores masks, but a RTMDetSepBNHead predicts none: use an RTMDetIns')


def test_panoptic_and_semantic_modes():
    cfg = tiny_cfg('mask2former_r50')
    cfg.test_cfg.instance_on = False
    refused(cfg, 'MSMask2Former scores masks, but test_cfg has no instance_on=True')
    cfg.test_cfg.update(instance_on=True, semantic_on=True)
    refused(cfg, 'semantic_on=True, which mmdet does not support')


@pytest.mark.parametrize('levels', [[5], [-1], []])
def test_a_feature_level_that_does_not_exist(levels):
    cfg = tiny_cfg('solov2_r50_fpn')
    cfg.scoring_levels = levels
    refused(cfg, r'scoring_levels=\[.*\], but the scoring feature has the levels 0 to 4')


def test_levels_of_different_channels():
    cfg = tiny_cfg('solov2_r50_fpn')
    cfg.neck = None
    refused(
        cfg, r'\[8, 16, 32, 64\] channels and strides \[4, 8, 16, 32\]: choose some of the same'
    )
    cfg.scoring_levels = [2]
    with torch.device('meta'):
        model = MODELS.build(cfg)
    assert model.mask_iou_extractor.featmap_strides == [16]
    assert model.mask_iou_head.in_channels == 32


def test_both_mixins():
    cfg = tiny_cfg('queryinst_r50_fpn')

    @MODELS.register_module(force=True)
    class ScoringSparseRoIHead(sparse_scoring()):
        pass

    cfg.roi_head.type = 'ScoringSparseRoIHead'
    refused(cfg, 'MSQueryInst and its ScoringSparseRoIHead would both score the masks')


def sparse_scoring():
    from mmdet.models.roi_heads import SparseRoIHead

    from msrcnn_plugin.models import MaskScoringMixin

    class Scoring(MaskScoringMixin, SparseRoIHead):
        def __init__(self, *args, **kwargs):
            SparseRoIHead.__init__(self, *args, **kwargs)

    return Scoring


def test_a_sampler_of_two_stage_models():
    cfg = tiny_cfg('solov2_r50_fpn')
    cfg.mask_iou_sampler = dict(type='DetectionSampler')
    refused(cfg, 'mask_iou_sampler is a DetectionSampler; a detector without RoI heads takes')


def test_sizes_that_are_not_the_hosts():
    cfg = tiny_cfg('solov2_r50_fpn')
    cfg.mask_iou_head.num_classes = 80
    refused(cfg, 'num_classes=80 was given, the model it belongs to has 3')


@pytest.fixture(scope='module')
def yolact():
    return build(tiny_cfg('yolact_r50')).eval()


def test_soft_masks(yolact):
    model = copy.deepcopy(yolact)
    model.mask_head.test_cfg.mask_thr_binary = -1
    with pytest.raises(ValueError, match=r'masks are torch\.uint8; the mask score is'):
        predict(model, batch_of(1))


def test_another_frame(yolact):
    images, samples = batch_of(1)
    with pytest.raises(ValueError, match='predict with rescale=True'):
        yolact.predict(images, samples, rescale=False)


def test_ground_truth_without_masks(yolact):
    images, samples = batch_of(1)
    del samples[0].gt_instances.masks
    with pytest.raises(ValueError, match='the ground truth has no masks to learn their IoU from'):
        yolact.loss(images, samples)


def test_predictions_without_instances_of_their_own(yolact):
    model = copy.deepcopy(yolact)
    model.add_pred_to_datasample = lambda samples, _: samples
    with pytest.raises(ValueError, match='MSYOLACT predicted no instances'):
        predict(model, batch_of(1))


def test_boxinst_with_its_own_preprocessor(yolact):
    from mmdet.models.data_preprocessors import BoxInstDataPreprocessor

    model = build(tiny_cfg('boxinst_r50_fpn'))
    model.data_preprocessor = BoxInstDataPreprocessor.__new__(BoxInstDataPreprocessor)
    torch.nn.Module.__init__(model.data_preprocessor)
    with pytest.raises(ValueError, match='puts boxes in place of the masks'):
        model.loss(*batch_of(1))


def test_a_config_without_a_mask_iou_head():
    cfg = ConfigDict(tiny_cfg('yolact_r50'))
    del cfg.mask_iou_head
    with pytest.raises(TypeError, match='mask_iou_head'):
        MODELS.build(cfg)


def test_images_of_other_than_three_channels():
    cfg = tiny_cfg('condinst_r50_fpn')
    cfg.backbone.in_channels = 4
    with torch.device('meta'):
        model = MODELS.build(cfg)
    assert model.mask_iou_extractor.featmap_strides[0] == 8


def test_a_detector_that_does_not_know_its_classes():
    cfg = tiny_cfg('condinst_r50_fpn')
    cfg.mask_iou_head.num_classes = 5
    with patch.object(MODELS.get(cfg.type), 'scored_classes', lambda _: None):
        with torch.device('meta'):
            model = MODELS.build(copy.deepcopy(cfg))
        del cfg.mask_iou_head.num_classes
        refused(cfg, 'needs num_classes')
    assert model.mask_iou_head.num_classes == 5
