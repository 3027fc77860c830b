"""The authors' checkpoints (zjhuang22/maskscoring_rcnn, a fork of maskrcnn-benchmark), FPN models.

Every weight has its place here: class layers without their background rows (they are read at the
class of a detection, which is never background), the classifier's background row last, and each
frozen batch norm's missing epsilon in its scale. Classes are in COCO's order in both.

What is no weight is set by configs/authors/: BGR images with the authors' mean and no division, the
stride of a block in its 1 x 1 convolution (style='caffe'), anchors rounded as theirs
(`DetectronAnchorGenerator`), RoIAlign with two samples a bin side and no half-pixel shift. Their
boxes include their last pixel: [x1, x2] there is [x1, x2 + 1] here, under which their box deltas
(weights 10, 10, 5, 5), areas, NMS and FPN levels are mmdet's.

Three things do not map: RoIAlign, which they give [x1, x2] and mmdet [x1, x2 + 1], one input pixel
more; how a mask is pasted into the image; and their predicted IoU, which is not kept in [0, 1].
"""

from __future__ import annotations

import re
from collections.abc import Callable

from torch import Tensor

from .rules import Format, Rule, Weights, background_last, without_background

BATCH_NORM_EPS = 1e-5


def absorb_eps(name: str, weights: Weights, classes: int) -> Tensor:
    """Computes the scale (C,) of a batch norm with epsilon that equals theirs, which has none."""
    variance = weights[re.sub(r'weight$', 'running_var', name)]
    return weights[name] * (1 + BATCH_NORM_EPS / variance).sqrt()


def count_from_zero(target: str) -> Callable[[re.Match], str]:
    """Makes a rename whose group 1 counts layers from 1."""
    return lambda match: target.format(int(match[1]) - 1, match[2])


_BATCH_NORM = r'(?:bn\d|downsample\.1)'
_BLOCK = r'layer\d\.\d+\.'
_LAYER = r'(weight|bias)'
_BOX, _MASK, _IOU = (rf'roi_heads\.{head}\.' for head in ('box', 'mask', 'maskiou'))

AUTHORS = Format(
    name="the authors' maskrcnn-benchmark",
    recognise=lambda names: any(name.startswith('roi_heads.box.') for name in names),
    classifier=_BOX + r'predictor\.cls_score\.weight',
    rules=(
        Rule(
            rf'backbone\.body\.(?:stem\.)?((?:{_BLOCK})?{_BATCH_NORM}\.weight)',
            r'backbone.\1',
            'epsilon absorbed',
            absorb_eps,
        ),
        Rule(
            rf'backbone\.body\.(?:stem\.)?((?:{_BLOCK})?{_BATCH_NORM}\.(?:bias|running_\w+))',
            r'backbone.\1',
        ),
        Rule(
            rf'backbone\.body\.(?:stem\.)?((?:{_BLOCK})?(?:conv\d|downsample\.0)\.weight)',
            r'backbone.\1',
        ),
        Rule(
            rf'backbone\.fpn\.fpn_inner(\d)\.{_LAYER}',
            count_from_zero('neck.lateral_convs.{}.conv.{}'),
        ),
        Rule(
            rf'backbone\.fpn\.fpn_layer(\d)\.{_LAYER}',
            count_from_zero('neck.fpn_convs.{}.conv.{}'),
        ),
        Rule(rf'rpn\.head\.conv\.{_LAYER}', r'rpn_head.rpn_conv.\1'),
        Rule(rf'rpn\.head\.cls_logits\.{_LAYER}', r'rpn_head.rpn_cls.\1'),
        Rule(rf'rpn\.head\.bbox_pred\.{_LAYER}', r'rpn_head.rpn_reg.\1'),
        Rule(r'rpn\.anchor_generator\..*', None, 'anchors, which the config makes'),
        Rule(rf'{_BOX}feature_extractor\.fc6\.{_LAYER}', r'roi_head.bbox_head.shared_fcs.0.\1'),
        Rule(rf'{_BOX}feature_extractor\.fc7\.{_LAYER}', r'roi_head.bbox_head.shared_fcs.1.\1'),
        Rule(
            rf'{_BOX}predictor\.cls_score\.{_LAYER}',
            r'roi_head.bbox_head.fc_cls.\1',
            'background last',
            background_last,
        ),
        Rule(
            rf'{_BOX}predictor\.bbox_pred\.{_LAYER}',
            r'roi_head.bbox_head.fc_reg.\1',
            'without background',
            without_background(4),
        ),
        Rule(
            rf'{_MASK}feature_extractor\.mask_fcn(\d)\.{_LAYER}',
            count_from_zero('roi_head.mask_head.convs.{}.conv.{}'),
        ),
        Rule(rf'{_MASK}predictor\.conv5_mask\.{_LAYER}', r'roi_head.mask_head.upsample.\1'),
        Rule(
            rf'{_MASK}predictor\.mask_fcn_logits\.{_LAYER}',
            r'roi_head.mask_head.conv_logits.\1',
            'without background',
            without_background(1),
        ),
        Rule(
            rf'{_IOU}feature_extractor\.maskiou_fcn(\d)\.{_LAYER}',
            count_from_zero('roi_head.mask_iou_head.convs.{}.{}'),
        ),
        Rule(
            rf'{_IOU}feature_extractor\.maskiou_fc(\d)\.{_LAYER}',
            count_from_zero('roi_head.mask_iou_head.fcs.{}.{}'),
        ),
        Rule(
            rf'{_IOU}predictor\.maskiou\.{_LAYER}',
            r'roi_head.mask_iou_head.fc_mask_iou.\1',
            'without background',
            without_background(1),
        ),
    ),
    remarks=(
        'configs/authors/ has what is no weight: images in BGR, the stride, anchors and RoIAlign',
        'not mapped: one input pixel at the far edges of a RoI, how masks are pasted',
        'predicted IoUs are kept in [0, 1] here',
    ),
)
