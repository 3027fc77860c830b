"""The MaskIoU head: predicts the IoU of a predicted mask with its object (paper, section 3.2)."""

from __future__ import annotations

import itertools
import logging
from typing import Any

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmdet.utils import ConfigType, OptMultiConfig
from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.modules.utils import _pair

from ..geometry import MaskIoUTarget, RoIGroundTruth, gather_by_label, mask_iou_target

DEFAULT_INIT: tuple[dict[str, Any], ...] = (
    dict(type='Kaiming', override=dict(name='convs')),
    dict(type='Caffe2Xavier', override=dict(name='fcs')),
    dict(type='Normal', std=0.01, override=dict(name='fc_mask_iou')),
)
# The entry of a state dict that says what the weights beside it predict: 1 for the logit of the
# IoU. Weights of the IoU have no such entry, as mmdet's have none.
LOGIT_ENTRY = 'predicts_iou_logits'


@MODELS.register_module()
class MSMaskIoUHead(BaseModule):
    """Predicts the mask IoU of each RoI for each class.

    The mask, as probabilities, is max-pooled to the size of the RoI feature and concatenated to it
    as one more channel. Convolutions (the last one stride 2) and fully connected layers follow.
    Parameters have the names and shapes of mmdet's ``MaskIoUHead``, so its weights load strictly.
    A variant of the head overrides ``fuse``, what it sees, or ``flatten``; the layers fit.

    ``in_channels``, ``roi_feat_size`` and ``num_classes`` are facts about the host; a RoI head with
    mask scoring fills them in, and a config need not.

    Shapes: ``R`` RoIs, ``C`` channels, ``S`` side of the RoI feature, ``M`` side of the mask, ``K``
    classes.

    Args:
        in_channels: ``C`` of the RoI feature, without the mask's channel.
        roi_feat_size: ``S``, or (height, width).
        num_classes: ``K`` foreground classes.
        num_convs: convolutions, from 0; without any the feature is not halved.
        num_fcs: fully connected layers before the predicting one, from 0.
        conv_out_channels: channels of each convolution.
        fc_out_channels: width of each fully connected layer.
        class_agnostic: predict one IoU that serves every class.
        loss_iou: a registered regression loss; takes prediction and target (R,), ``weight`` and
            ``avg_factor``. One with ``use_sigmoid``, binary cross-entropy, makes the head predict
            the logit of the IoU.
        count_zero_targets: learn also from masks that miss their object (IoU 0). The authors' code
            does not.
        detach_mask: keep the loss's gradient from reaching the mask head through the mask. The
            authors' code lets it pass.
        max_rois: RoIs predicted in one forward; more are predicted in turn, to bound the memory.
    """

    def __init__(
        self,
        *,
        in_channels: int | None = None,
        roi_feat_size: int | tuple[int, int] | None = None,
        num_classes: int | None = None,
        num_convs: int = 4,
        num_fcs: int = 2,
        conv_out_channels: int = 256,
        fc_out_channels: int = 1024,
        class_agnostic: bool = False,
        loss_iou: ConfigType = dict(type='MSELoss', loss_weight=0.5),  # noqa: B006
        count_zero_targets: bool = False,
        detach_mask: bool = False,
        max_rois: int = 1000,
        init_cfg: OptMultiConfig = DEFAULT_INIT,
    ) -> None:
        super().__init__(init_cfg=_named_layers(init_cfg, convs=num_convs, fcs=num_fcs))
        if in_channels is None or roi_feat_size is None or num_classes is None:
            sizes = dict(
                in_channels=in_channels, roi_feat_size=roi_feat_size, num_classes=num_classes
            )
            missing = ', '.join(name for name, size in sizes.items() if size is None)
            raise ValueError(
                f'MSMaskIoUHead needs {missing}. Put it into a RoI head with mask scoring '
                "(mask_iou_head=dict(type='MSMaskIoUHead')), which fills them in, or give them."
            )
        if num_convs < 0 or num_fcs < 0:
            raise ValueError(
                f'MSMaskIoUHead: num_convs={num_convs}, num_fcs={num_fcs}; give 0 or more.'
            )
        self.in_channels = in_channels
        self.roi_feat_size = _pair(roi_feat_size)
        self.num_classes = num_classes
        self.count_zero_targets = count_zero_targets
        self.detach_mask = detach_mask
        self.max_rois = max_rois

        # No RoI: it costs nothing, and tells the sizes of the layers.
        x = self.fuse(
            torch.zeros(0, in_channels, *self.roi_feat_size), torch.zeros(0, *self.roi_feat_size)
        )
        widths = [x.size(1)] + [conv_out_channels] * num_convs
        strides = [1] * (num_convs - 1) + [2]
        self.convs = nn.ModuleList(
            nn.Conv2d(c_in, c_out, 3, stride=stride, padding=1)
            for c_in, c_out, stride in zip(widths, widths[1:], strides)
        )
        for conv in self.convs:
            x = conv(x)
        widths = [self.flatten(x).size(1)] + [fc_out_channels] * num_fcs
        self.fcs = nn.ModuleList(
            nn.Linear(f_in, f_out) for f_in, f_out in itertools.pairwise(widths)
        )
        self.fc_mask_iou = nn.Linear(widths[-1], 1 if class_agnostic else num_classes)
        self.loss_iou = MODELS.build(loss_iou)
        self.predicts_logits = getattr(self.loss_iou, 'use_sigmoid', False)
        if self.predicts_logits:
            self.register_buffer(LOGIT_ENTRY, torch.tensor(1))

    def forward(self, roi_feats: Tensor, mask_probs: Tensor) -> Tensor:
        """Predicts the mask IoU for each class.

        Args:
            roi_feats: (R, C, S, S) the feature the mask head saw.
            mask_probs: (R, M, M) probability of the mask of the target class, any ``M``.

        Returns:
            (R, K) predicted IoU, not bounded, or its logit; (R, 1) where class-agnostic.
        """
        if self.detach_mask:
            mask_probs = mask_probs.detach()
        # Channels last: the convolutions take five sixths of the time, forward and backward.
        roi_feats = roi_feats.contiguous(memory_format=torch.channels_last)
        x = self.fuse(roi_feats, mask_probs)
        for conv in self.convs:
            x = F.relu(conv(x), inplace=True)
        x = self.flatten(x)
        for fc in self.fcs:
            x = F.relu(fc(x), inplace=True)
        return self.fc_mask_iou(x).float()

    def fuse(self, roi_feats: Tensor, mask_probs: Tensor) -> Tensor:
        """Concatenates the feature (R, C, S, S) and the pooled mask (R, M, M): (R, C + 1, S, S)."""
        return torch.cat([roi_feats, self.pool(mask_probs).to(roi_feats.dtype)], 1)

    def pool(self, mask_probs: Tensor) -> Tensor:
        """Pools masks (R, M, M) to the size of the feature: (R, 1, S, S), channels last."""
        # At M = 2 S this is the paper's 2 x 2 max-pool with stride 2.
        return F.adaptive_max_pool2d(mask_probs, self.roi_feat_size)[..., None].movedim(3, 1)

    def flatten(self, x: Tensor) -> Tensor:
        """Flattens the convolutions' output (R, channels, height, width) for the next layers."""
        return x.flatten(1)

    def target(self, mask_probs: Tensor, ground_truth: RoIGroundTruth) -> MaskIoUTarget:
        """Computes the target of the mask head's positives (paper, section 3.2).

        Args:
            mask_probs: (R, M, M) probability of the mask of the target class.
            ground_truth: of the same RoIs on the same grid.
        """
        return mask_iou_target(mask_probs, ground_truth)

    def loss(self, mask_ious: Tensor, labels: Tensor, target: MaskIoUTarget) -> dict[str, Tensor]:
        """Computes the loss of the predictions for the target class (paper, section 3.2: L2).

        Without a positive that counts, the loss is 0 and still reaches every parameter.

        Args:
            mask_ious: (R, K) from :meth:`forward`.
            labels: (R,) long, the class of each RoI's ground truth.
            target: of the same RoIs.

        Returns:
            ``loss_mask_iou``, a scalar.
        """
        counted = target.valid if self.count_zero_targets else target.valid & (target.iou > 0)
        loss = self.loss_iou(
            gather_by_label(mask_ious, labels),
            target.iou,
            weight=counted.to(mask_ious),
            avg_factor=counted.sum().clamp(min=1).to(mask_ious),
        )
        return dict(loss_mask_iou=loss)

    def predict(self, roi_feats: Tensor, mask_probs: Tensor, labels: Tensor) -> Tensor:
        """Predicts the IoU (R,) in [0, 1] of each mask for its class.

        Args:
            roi_feats: (R, C, S, S).
            mask_probs: (R, M, M) probability.
            labels: (R,) long, the predicted classes.
        """
        parts = zip(roi_feats.split(self.max_rois), mask_probs.split(self.max_rois))
        mask_ious = gather_by_label(
            torch.cat([self(feats, probs) for feats, probs in parts]), labels
        )
        return mask_ious.sigmoid() if self.predicts_logits else mask_ious.clamp(0, 1)

    # Weights that predict the IoU and weights that predict its logit have the same names and
    # shapes. Exchanged, they would load strictly and give wrong numbers.

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        if f'{prefix}fc_mask_iou.weight' in state_dict:
            self._require_same_prediction(state_dict, prefix, local_metadata)
        lists = missing_keys, unexpected_keys
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, *lists, error_msgs
        )
        # Weights that say what they predict in another way, or say that they predict the IoU, are
        # complete.
        for keys in lists:
            keys[:] = [key for key in keys if key != prefix + LOGIT_ENTRY]

    def _require_same_prediction(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any]
    ) -> None:
        """Refuses weights that predict another thing than this head.

        Where weights have no entry, torch's metadata may say it. Ours of before the entry do. Any
        other module's weights with metadata are mmdet's, and predict the IoU.
        """
        entry, name = prefix + LOGIT_ENTRY, prefix[:-1] or 'the MaskIoU head'
        loss = f'loss_iou={type(self.loss_iou).__name__}'
        if entry in state_dict:
            logits = bool(state_dict[entry])
        elif local_metadata:
            logits = local_metadata.get('predicts_logits', False)
        elif self.predicts_logits:
            raise ValueError(
                f'It is unknown what the weights of {name} predict: they have no entry {entry} and '
                f"no metadata. With the config's {loss} the head predicts the logit of the IoU. If "
                f"they do, state it: state_dict['{entry}'] = torch.tensor(1). If they are mmdet's, "
                'they predict the IoU: use a loss of it, such as MSELoss.'
            )
        else:
            # mmdet's published checkpoints say nothing, and have to load.
            print_log(
                f'The weights of {name} do not say what they predict. They are taken to predict '
                "the IoU, as mmdet's do.",
                'current',
                logging.WARNING,
            )
            logits = False
        if logits != self.predicts_logits:
            names = {False: 'the IoU', True: 'the logit of the IoU'}
            raise ValueError(
                f'The weights of {name} predict {names[logits]}, but with the '
                f"config's {loss} the head predicts {names[not logits]}. Use the config that the "
                'checkpoint was trained with, or start from a checkpoint without a MaskIoU head.'
            )


def _named_layers(init_cfg: OptMultiConfig, **counts: int) -> OptMultiConfig:
    """Drops absent layers from the default ``init_cfg``: mmengine would warn about them."""
    if init_cfg is not DEFAULT_INIT:
        return init_cfg
    return [cfg.copy() for cfg in init_cfg if counts.get(cfg['override']['name'], 1)]
