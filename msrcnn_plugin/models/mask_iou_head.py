"""The MaskIoU head: the IoU a predicted mask will have with the truth (paper, section 3.2)."""

from typing import Optional, Union

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmdet.utils import ConfigType, OptMultiConfig
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn
from torch.nn.modules.utils import _pair

from ..geometry import MaskIoUTarget, RoIGroundTruth, choose_class, mask_iou_target

DEFAULT_INIT = (
    dict(type='Kaiming', override=dict(name='convs')),
    dict(type='Caffe2Xavier', override=dict(name='fcs')),
    dict(type='Normal', std=0.01, override=dict(name='fc_mask_iou')),
)


@MODELS.register_module()
class MSMaskIoUHead(BaseModule):
    """Predicts the mask IoU of each RoI for each class.

    The mask, as probabilities, is max-pooled to the size of the RoI feature and concatenated to it
    as one more channel; convolutions (the last one stride 2) and fully connected layers follow.
    Parameters have the names and shapes of mmdet's ``MaskIoUHead``, so its weights load strictly.

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
        count_zero_targets: learn also from masks that miss their object (IoU 0). The paper's code
            does not.
        detach_mask: keep the loss's gradient from reaching the mask head through the mask. The
            paper's code lets it pass.
        max_rois: RoIs predicted in one forward; more are done in turn, which bounds the memory.
    """

    def __init__(
        self,
        *,
        in_channels: Optional[int] = None,
        roi_feat_size: Union[int, tuple, None] = None,
        num_classes: Optional[int] = None,
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
        _require_sizes(
            in_channels=in_channels, roi_feat_size=roi_feat_size, num_classes=num_classes
        )
        _require_counts(num_convs=num_convs, num_fcs=num_fcs)
        self.in_channels = in_channels
        self.roi_feat_size = _pair(roi_feat_size)
        self.num_classes = num_classes
        self.count_zero_targets = count_zero_targets
        self.detach_mask = detach_mask
        self.max_rois = max_rois

        widths = [self._input_channels()] + [conv_out_channels] * num_convs
        strides = [1] * (num_convs - 1) + [2]
        # mmengine's, so that a layer of a variant can have init_weights of its own.
        self.convs = ModuleList(self._conv(*sizes) for sizes in zip(widths, widths[1:], strides))
        height, width = (((s + 1) // 2 if num_convs else s) for s in self.roi_feat_size)
        flat = self._flat_size(widths[-1], height, width)
        widths = [flat] + [fc_out_channels] * num_fcs
        self.fcs = nn.ModuleList(nn.Linear(f_in, f_out) for f_in, f_out in zip(widths, widths[1:]))
        self.fc_mask_iou = nn.Linear(widths[-1], 1 if class_agnostic else num_classes)
        self.loss_iou = MODELS.build(loss_iou)
        self.predicts_logits = getattr(self.loss_iou, 'use_sigmoid', False)

    def forward(self, roi_feats: Tensor, mask_probs: Tensor) -> Tensor:
        """Predict the mask IoU for each class.

        Args:
            roi_feats: (R, C, S, S) the feature the mask head saw.
            mask_probs: (R, M, M) probability of the mask of the target class, any ``M``.

        Returns:
            (R, K) predicted IoU, not bounded, or its logit; (R, 1) where class-agnostic.
        """
        if self.detach_mask:
            mask_probs = mask_probs.detach()
        # Channels last: the convolutions take five sixths of the time, forward and backward.
        mask = self._input_mask(mask_probs).to(roi_feats.dtype).movedim(3, 1)
        roi_feats = roi_feats.contiguous(memory_format=torch.channels_last)
        x = self._input(roi_feats, mask)
        for conv in self.convs:
            x = F.relu(conv(x), inplace=True)
        x = self._flatten(x)
        for fc in self.fcs:
            x = F.relu(fc(x), inplace=True)
        return self.fc_mask_iou(x).float()

    def target(self, mask_probs: Tensor, ground_truth: RoIGroundTruth) -> MaskIoUTarget:
        """What is to be predicted of the mask head's positives (paper, section 3.2).

        Args:
            mask_probs: (R, M, M) probability of the mask of the target class.
            ground_truth: of the same RoIs on the same grid.
        """
        return mask_iou_target(mask_probs, ground_truth)

    def loss(self, mask_ious: Tensor, labels: Tensor, target: MaskIoUTarget) -> dict:
        """Loss of the predictions for the target class (paper, section 3.2: L2).

        No positive, or none that counts, is a loss of 0 that still reaches every parameter.

        Args:
            mask_ious: (R, K) from :meth:`forward`.
            labels: (R,) long, the class of each RoI's ground truth.
            target: of the same RoIs.

        Returns:
            ``loss_mask_iou``, a scalar.
        """
        counted = target.valid if self.count_zero_targets else target.valid & (target.iou > 0)
        loss = self.loss_iou(
            choose_class(mask_ious, labels),
            target.iou,
            weight=counted.to(mask_ious),
            avg_factor=counted.sum().clamp(min=1).to(mask_ious),
        )
        return dict(loss_mask_iou=loss)

    def predict(self, roi_feats: Tensor, mask_probs: Tensor, labels: Tensor) -> Tensor:
        """IoU in [0, 1] of each mask for its predicted class: (R,).

        Args:
            roi_feats: (R, C, S, S).
            mask_probs: (R, M, M) probability.
            labels: (R,) long, the predicted classes.
        """
        parts = zip(roi_feats.split(self.max_rois), mask_probs.split(self.max_rois))
        mask_ious = choose_class(torch.cat([self(feats, probs) for feats, probs in parts]), labels)
        return mask_ious.sigmoid() if self.predicts_logits else mask_ious.clamp(0, 1)

    # What the heads in variants/ do otherwise.

    def _input_channels(self) -> int:
        return self.in_channels + 1

    def _input_mask(self, mask_probs: Tensor) -> Tensor:
        """(R, S, S, channels) of masks (R, M, M)."""
        # At M = 2 S this is the paper's 2 x 2 max-pool with stride 2.
        return F.adaptive_max_pool2d(mask_probs, self.roi_feat_size)[..., None]

    def _input(self, roi_feats: Tensor, mask: Tensor) -> Tensor:
        """(R, ``_input_channels``, S, S) of a feature (R, C, S, S) and a mask (R, channels, S, S).

        The mask's channels are those of ``_input_mask``.
        """
        return torch.cat([roi_feats, mask], 1)

    def _conv(self, in_channels: int, out_channels: int, stride: int) -> nn.Module:
        return nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1)

    def _flat_size(self, channels: int, height: int, width: int) -> int:
        return channels * height * width

    def _flatten(self, x: Tensor) -> Tensor:
        """(R, ``_flat_size``) of what the convolutions give, (R, channels, height, width)."""
        return x.flatten(1)

    # Weights that predict the IoU and weights that predict its logit have the same names and
    # shapes. What they predict stands in the metadata of the state dict, where torch keeps the
    # versions of modules: exchanged, they would load strictly and give wrong numbers.

    def _save_to_state_dict(self, destination: dict, prefix: str, *args) -> None:
        super()._save_to_state_dict(destination, prefix, *args)
        if hasattr(destination, '_metadata'):
            destination._metadata[prefix[:-1]]['predicts_logits'] = self.predicts_logits

    def _load_from_state_dict(
        self, state_dict: dict, prefix: str, local_metadata: dict, *args
    ) -> None:
        given = local_metadata.get('predicts_logits', False)  # not, in a checkpoint of mmdet
        if given != self.predicts_logits and f'{prefix}fc_mask_iou.weight' in state_dict:
            names = {False: 'the IoU', True: 'the logit of the IoU'}
            raise ValueError(
                f"The weights of {prefix[:-1]} predict {names[given]}, but with the config's "
                f'loss_iou={type(self.loss_iou).__name__} the head predicts '
                f'{names[self.predicts_logits]}. Use the config that the checkpoint was trained '
                'with, or start from a checkpoint without a MaskIoU head.'
            )
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)


def _require_sizes(**sizes) -> None:
    missing = [name for name, size in sizes.items() if size is None]
    if missing:
        raise ValueError(
            f'MSMaskIoUHead needs {", ".join(missing)}. Put it into a RoI head with mask scoring '
            "(mask_iou_head=dict(type='MSMaskIoUHead')), which fills them in, or give them."
        )


def _require_counts(**counts) -> None:
    for name, count in counts.items():
        if count < 0:
            raise ValueError(f'MSMaskIoUHead: {name}={count}; give 0 or more.')


def _named_layers(init_cfg: OptMultiConfig, **counts) -> OptMultiConfig:
    """``init_cfg`` without the layers there are none of, about which mmengine would warn."""
    if init_cfg is not DEFAULT_INIT:
        return init_cfg
    return [cfg.copy() for cfg in init_cfg if counts.get(cfg['override']['name'], 1)]
