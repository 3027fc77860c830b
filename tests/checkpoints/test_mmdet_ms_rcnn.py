"""A checkpoint file of mmdet's own MS R-CNN, loaded into this plugin's.

Equal: boxes, labels, masks, what the MaskIoU head predicts, and the mask score, which mmdet writes
over `scores`. Not equal: `scores`, the class score here; IoUs outside [0, 1], which are cut here;
the head's training target.
"""

import copy

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.runner import load_checkpoint, save_checkpoint

from ..test_configs import CONFIGS


def narrow(cfg):
    model = cfg.model
    model.backbone.update(base_channels=4, stem_channels=4, init_cfg=None)
    model.neck.update(in_channels=[16, 32, 64, 128], out_channels=8)
    model.rpn_head.update(in_channels=8, feat_channels=8)
    head = model.roi_head
    head.bbox_roi_extractor.out_channels = head.mask_roi_extractor.out_channels = 8
    head.bbox_head.update(in_channels=8, fc_out_channels=16)
    head.mask_head.update(in_channels=8, conv_out_channels=8)
    head.mask_iou_head.update(conv_out_channels=8, fc_out_channels=16)
    if 'in_channels' in head.mask_iou_head:
        head.mask_iou_head.in_channels = 8
    model.test_cfg.rcnn.score_thr = 0.0
    return MODELS.build(model)


def ours():
    host = get_config('mmdet::mask_rcnn/mask-rcnn_r50-caffe_fpn_1x_coco.py')
    delta = Config.fromfile(CONFIGS / '_base_' / 'mask_scoring.py')
    host.merge_from_dict(dict(model=dict(roi_head=delta.mask_scoring)))
    return narrow(host).eval()


@pytest.fixture(scope='module')
def stock():
    torch.manual_seed(2)
    model = narrow(get_config('mmdet::ms_rcnn/ms-rcnn_r50-caffe_fpn_1x_coco.py'))
    model.init_weights()
    return model.eval()


def loaded_from_file(stock, folder):
    path = str(folder / 'ms_rcnn.pth')
    meta = dict(epoch=12, dataset_meta=dict(classes=('a', 'b')), cfg='model = dict()')
    save_checkpoint(dict(meta=meta, state_dict=stock.state_dict()), path)
    assert set(torch.load(path, weights_only=True)) == {'meta', 'state_dict'}
    model = ours()
    load_checkpoint(model, path, map_location='cpu', strict=True)
    return model


@torch.no_grad()
def predict(model, batch):
    images, samples = copy.deepcopy(batch)
    return [sample.pred_instances for sample in model.predict(images, samples)]


def test_predicts_the_same(stock, batch, tmp_path):
    # A head that was trained predicts between 0 and 1.
    torch.nn.init.constant_(stock.roi_head.mask_iou_head.fc_mask_iou.bias, 0.5)
    model = loaded_from_file(stock, tmp_path)
    for mine, theirs in zip(predict(model, batch), predict(stock, batch)):
        assert len(mine) == len(theirs) == 100
        for name in ('bboxes', 'labels', 'masks'):
            assert torch.equal(mine[name], theirs[name]), name
        assert mine.mask_ious.unique().numel() > 1
        torch.testing.assert_close(mine.mask_scores, theirs.scores)
        torch.testing.assert_close(mine.scores * mine.mask_ious, theirs.scores)


def test_cuts_what_is_no_iou(stock, batch, tmp_path):
    torch.nn.init.constant_(stock.roi_head.mask_iou_head.fc_mask_iou.bias, -0.5)
    model = loaded_from_file(stock, tmp_path)
    for mine, theirs in zip(predict(model, batch), predict(stock, batch)):
        assert (theirs.scores < 0).all()
        assert (mine.mask_scores == 0).all()


@torch.no_grad()
def test_the_head_predicts_the_same_from_logits_as_from_probabilities(stock, tmp_path):
    model = loaded_from_file(stock, tmp_path)
    feats, logits = torch.randn(5, 8, 14, 14), torch.randn(5, 28, 28)
    mine = model.roi_head.mask_iou_head(feats, logits.sigmoid())
    torch.testing.assert_close(mine, stock.roi_head.mask_iou_head(feats, logits))
