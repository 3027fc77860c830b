"""The authors' network by hand, from a dictionary of weights of their names (R50-FPN, narrow)."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F

BLOCKS = (3, 4, 6, 3)
WIDTH, FPN, FC = 4, 8, 16
STRIDES, SIZES = (4, 8, 16, 32, 64), (32, 64, 128, 256, 512)


class Weights(dict):
    """Random weights, added layer by layer."""

    def layer(self, name, *shape, bias=True):
        self[f'{name}.weight'] = torch.randn(*shape) / math.sqrt(math.prod(shape[1:]))
        if bias:
            self[f'{name}.bias'] = torch.randn(shape[0])

    def frozen_norm(self, name, channels):
        self[f'{name}.weight'], self[f'{name}.bias'] = torch.rand(channels), torch.randn(channels)
        self[f'{name}.running_mean'] = torch.randn(channels)
        # Down to where an epsilon of 1e-5 is seen.
        self[f'{name}.running_var'] = 10 ** (3 * torch.rand(channels) - 3)

    def conv_norm(self, conv, norm, *shape):
        self.layer(conv, *shape, bias=False)
        self.frozen_norm(norm, shape[0])


def make_weights(classes):
    """Weights for ``classes`` foreground classes and the background, which is the first."""
    weights = Weights()
    _add_backbone(weights)
    for level in range(4):
        weights.layer(f'backbone.fpn.fpn_inner{level + 1}', FPN, 4 * WIDTH * 2**level, 1, 1)
        weights.layer(f'backbone.fpn.fpn_layer{level + 1}', FPN, FPN, 3, 3)
    for level in range(5):
        weights[f'rpn.anchor_generator.cell_anchors.{level}'] = torch.zeros(3, 4)
    weights.layer('rpn.head.conv', FPN, FPN, 3, 3)
    weights.layer('rpn.head.cls_logits', 3, FPN, 1, 1)
    weights.layer('rpn.head.bbox_pred', 12, FPN, 1, 1)
    _add_heads(weights, classes + 1)
    return dict(weights)


def _add_backbone(weights):
    body = 'backbone.body'
    weights.conv_norm(f'{body}.stem.conv1', f'{body}.stem.bn1', WIDTH, 3, 7, 7)
    c_in = WIDTH
    for stage, blocks in enumerate(BLOCKS):
        c_mid = WIDTH * 2**stage
        for i in range(blocks):
            block = f'{body}.layer{stage + 1}.{i}'
            shapes = ((c_mid, c_in, 1, 1), (c_mid, c_mid, 3, 3), (4 * c_mid, c_mid, 1, 1))
            for k, shape in enumerate(shapes, 1):
                weights.conv_norm(f'{block}.conv{k}', f'{block}.bn{k}', *shape)
            if i == 0:
                short = f'{block}.downsample'
                weights.conv_norm(f'{short}.0', f'{short}.1', 4 * c_mid, c_in, 1, 1)
            c_in = 4 * c_mid


def _add_heads(weights, classes):
    box, mask, iou = (f'roi_heads.{name}' for name in ('box', 'mask', 'maskiou'))
    weights.layer(f'{box}.feature_extractor.fc6', FC, FPN * 49)
    weights.layer(f'{box}.feature_extractor.fc7', FC, FC)
    weights.layer(f'{box}.predictor.cls_score', classes, FC)
    weights.layer(f'{box}.predictor.bbox_pred', 4 * classes, FC)
    for i in range(1, 5):
        weights.layer(f'{mask}.feature_extractor.mask_fcn{i}', FPN, FPN, 3, 3)
        c_in = FPN + 1 if i == 1 else FPN
        weights.layer(f'{iou}.feature_extractor.maskiou_fcn{i}', FPN, c_in, 3, 3)
    weights.layer(f'{mask}.predictor.conv5_mask', FPN, FPN, 2, 2)
    weights.layer(f'{mask}.predictor.mask_fcn_logits', classes, FPN, 1, 1)
    weights.layer(f'{iou}.feature_extractor.maskiou_fc1', FC, FPN * 49)
    weights.layer(f'{iou}.feature_extractor.maskiou_fc2', FC, FC)
    weights.layer(f'{iou}.predictor.maskiou', classes, FC)


class AuthorsModel(NamedTuple):
    """Class layouts are theirs: background is class 0."""

    weights: dict

    def layer(self, name):
        return self.weights[f'{name}.weight'], self.weights.get(f'{name}.bias')

    def conv_norm(self, x, conv, norm, **kwargs):
        x = F.conv2d(x, *self.layer(conv), **kwargs)
        weight, bias, mean, var = (
            self.weights[f'{norm}.{part}'][:, None, None]
            for part in ('weight', 'bias', 'running_mean', 'running_var')
        )
        return (x - mean) * var.rsqrt() * weight + bias

    def block(self, x, name, stride):
        short = x
        if f'{name}.downsample.0.weight' in self.weights:
            conv, norm = f'{name}.downsample.0', f'{name}.downsample.1'
            short = self.conv_norm(x, conv, norm, stride=stride)
        x = F.relu(self.conv_norm(x, f'{name}.conv1', f'{name}.bn1', stride=stride))
        x = F.relu(self.conv_norm(x, f'{name}.conv2', f'{name}.bn2', padding=1))
        return F.relu(self.conv_norm(x, f'{name}.conv3', f'{name}.bn3') + short)

    def pyramid(self, x):
        body = 'backbone.body'
        x = self.conv_norm(x, f'{body}.stem.conv1', f'{body}.stem.bn1', stride=2, padding=3)
        x = F.max_pool2d(F.relu(x), 3, 2, 1)
        levels = []
        for stage, blocks in enumerate(BLOCKS):
            for i in range(blocks):
                stride = 2 if stage and not i else 1
                x = self.block(x, f'{body}.layer{stage + 1}.{i}', stride)
            levels.append(x)
        return self.fpn(levels)

    def fpn(self, levels):
        inner, outputs = None, []
        for level in range(4, 0, -1):
            lateral = F.conv2d(levels[level - 1], *self.layer(f'backbone.fpn.fpn_inner{level}'))
            inner = lateral if inner is None else lateral + F.interpolate(inner, scale_factor=2)
            layer = self.layer(f'backbone.fpn.fpn_layer{level}')
            outputs.insert(0, F.conv2d(inner, *layer, padding=1))
        return [*outputs, outputs[-1][:, :, ::2, ::2]]

    def rpn(self, x):
        x = F.relu(F.conv2d(x, *self.layer('rpn.head.conv'), padding=1))
        logits, deltas = (self.layer(f'rpn.head.{name}') for name in ('cls_logits', 'bbox_pred'))
        return F.conv2d(x, *logits), F.conv2d(x, *deltas)

    def box(self, x):
        """Class logits (R, K + 1), deltas (R, K + 1, 4) of RoI features (R, C, 7, 7)."""
        head = 'roi_heads.box'
        x = F.relu(F.linear(x.flatten(1), *self.layer(f'{head}.feature_extractor.fc6')))
        x = F.relu(F.linear(x, *self.layer(f'{head}.feature_extractor.fc7')))
        deltas = F.linear(x, *self.layer(f'{head}.predictor.bbox_pred'))
        return F.linear(x, *self.layer(f'{head}.predictor.cls_score')), deltas.unflatten(1, (-1, 4))

    def mask(self, x):
        """Mask logits (R, K + 1, 28, 28) of RoI features (R, C, 14, 14)."""
        head = 'roi_heads.mask'
        for i in range(1, 5):
            layer = self.layer(f'{head}.feature_extractor.mask_fcn{i}')
            x = F.relu(F.conv2d(x, *layer, padding=1))
        x = F.relu(F.conv_transpose2d(x, *self.layer(f'{head}.predictor.conv5_mask'), stride=2))
        return F.conv2d(x, *self.layer(f'{head}.predictor.mask_fcn_logits'))

    def mask_iou(self, x, mask_probs):
        """Predicted IoU (R, K + 1) of RoI features (R, C, 14, 14) and masks (R, 28, 28)."""
        head = 'roi_heads.maskiou'
        x = torch.cat([x, F.max_pool2d(mask_probs[:, None], 2, 2)], 1)
        for i in range(1, 5):
            layer = self.layer(f'{head}.feature_extractor.maskiou_fcn{i}')
            x = F.relu(F.conv2d(x, *layer, stride=2 if i == 4 else 1, padding=1))
        for name in ('maskiou_fc1', 'maskiou_fc2'):
            layer = self.layer(f'{head}.feature_extractor.{name}')
            x = F.relu(F.linear(x.flatten(1), *layer))
        return F.linear(x, *self.layer(f'{head}.predictor.maskiou'))


def cell_anchors(stride, size):
    """Three boxes that include their last pixel, for the upper left cell of a level."""
    anchors = []
    for ratio in (0.5, 1.0, 2.0):
        width = round(math.sqrt(stride * stride / ratio))
        height = round(width * ratio)
        scale, middle = size / stride, (stride - 1) / 2
        x, y = (scale * width - 1) / 2, (scale * height - 1) / 2
        anchors.append([middle - x, middle - y, middle + x, middle + y])
    return torch.tensor(anchors)


def decode(deltas, boxes, weights):
    """Boxes that include their last pixel, moved by ``deltas`` (R, 4)."""
    sides = boxes[:, 2:] - boxes[:, :2] + 1
    centres = boxes[:, :2] + 0.5 * sides
    deltas = deltas / torch.tensor(weights)
    centres = centres + deltas[:, :2] * sides
    sides = sides * deltas[:, 2:].clamp(max=math.log(1000 / 16)).exp()
    return torch.cat([centres - 0.5 * sides, centres + 0.5 * sides - 1], 1)
