"""What Mask R-CNN's own ablations need and mmdet lacks (He et al., 2017, table 2).

Shapes: ``R`` RoIs, ``K`` classes, ``M`` side of a mask.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
import torch.nn.functional as F
from mmdet.models.losses import CrossEntropyLoss
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from mmdet.registry import MODELS
from mmdet.utils import ConfigType
from torch import Tensor, nn
from torch.nn.modules.utils import _pair
from torchvision.ops import RoIPool

# The largest log-probability. Nearer to 0 its logit would be infinite in float32.
LARGEST = -1e-6


@MODELS.register_module()
class SoftmaxMaskHead(FCNMaskHead):
    """mmdet's ``FCNMaskHead`` whose classes compete for each pixel (table 2b, "softmax").

    A pixel of a RoI is one of the K classes or background. The output is (R, K + 1, M, M), the
    background last. It holds the logit of each softmax probability, so the sigmoid that the host
    and the mask score apply gives that probability back.

    With one class it is the sigmoid of a difference: only several classes tell the two apart.
    """

    def __init__(
        self,
        *,
        num_classes: int = 80,
        class_agnostic: bool = False,
        loss_mask: ConfigType = dict(type='SoftmaxMaskLoss'),  # noqa: B006
        **kwargs: Any,
    ) -> None:
        if class_agnostic:
            raise ValueError(
                'SoftmaxMaskHead: class_agnostic=True leaves one class, and a softmax over it and '
                'background is a sigmoid: use FCNMaskHead(class_agnostic=True).'
            )
        super().__init__(num_classes=num_classes + 1, loss_mask=loss_mask, **kwargs)
        self.num_classes = num_classes

    def forward(self, x: Tensor) -> Tensor:
        """Computes the logit of each probability (R, K + 1, M, M), in float32."""
        log_probs = super().forward(x).float().log_softmax(1).clamp(max=LARGEST)
        return log_probs - torch.log(-torch.expm1(log_probs))


@MODELS.register_module()
class SoftmaxMaskLoss(CrossEntropyLoss):
    """mmdet's multinomial cross-entropy of the pixels of a `SoftmaxMaskHead`."""

    def forward(self, mask_preds: Tensor, mask_targets: Tensor, labels: Tensor) -> Tensor:
        """Averages over RoIs and pixels.

        Args:
            mask_preds: (R, K + 1, M, M) of the head.
            mask_targets: (R, M, M), 1 on the object and 0 beside it.
            labels: (R,) long, the class of each object.
        """
        background = mask_preds.size(1) - 1
        classes = torch.where(mask_targets > 0.5, labels[:, None, None], background)
        # They are logarithms of probabilities already: the softmax in the loss changes nothing.
        return super().forward(F.logsigmoid(mask_preds), classes)


@MODELS.register_module()
class FCMaskHead(FCNMaskHead):
    """mmdet's ``FCNMaskHead`` whose last layers are fully connected (table 2e, "MLP").

    mmdet's ``CoarseMaskHead`` is fully connected as well, but its mask is no finer than the feature
    and never class-agnostic.

    Args:
        num_convs: convolutions before; the paper has none.
        num_fcs: hidden layers of ``fc_out_channels``.
        roi_feat_size: side of the RoI feature, 14 with FPN and 7 with C4.
        mask_size: side M of the mask, as ``train_cfg.rcnn.mask_size``.
    """

    def __init__(
        self,
        *,
        num_convs: int = 0,
        num_fcs: int = 2,
        fc_out_channels: int = 1024,
        mask_size: int = 28,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_convs=num_convs, upsample_cfg=dict(type=None), **kwargs)
        channels, masks = self.conv_logits.in_channels, self.conv_logits.out_channels
        height, width = self.roi_feat_size
        widths = [channels * height * width, *[fc_out_channels] * num_fcs]
        layers: list[nn.Module] = [nn.Flatten()]
        for f_in, f_out in itertools.pairwise(widths):
            layers += [nn.Linear(f_in, f_out), nn.ReLU(inplace=True)]
        # In the place of the parent's last layer: its forward calls it.
        self.conv_logits = nn.Sequential(
            *layers,
            nn.Linear(widths[-1], masks * mask_size**2),
            nn.Unflatten(1, (masks, mask_size, mask_size)),
        )


@MODELS.register_module()
class RoIPoolExtractor(SingleRoIExtractor):
    """mmdet's extractor with RoIPool in place of its ``roi_layer`` (tables 2c and 2d).

    The layer is torchvision's: mmcv's runs on GPUs alone. Of ``roi_layer`` the ``output_size``
    counts.
    """

    def build_roi_layers(self, layer_cfg: ConfigType, featmap_strides: list[int]) -> nn.ModuleList:
        """Makes one layer for each level."""
        size = _pair(layer_cfg['output_size'])
        return nn.ModuleList(RoIPool(size, 1 / stride) for stride in featmap_strides)
