"""RoI heads whose MaskIoU head sees other features: inputs (c) and (d) of the paper's ablations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmdet.utils import ConfigType
from torch import Tensor
from torch.nn.modules.utils import _pair

from msrcnn_plugin.models import MSRoIHead
from msrcnn_plugin.models.mask_forward import MaskHeadCall


@MODELS.register_module()
class MSAllMasksRoIHead(MSRoIHead):
    """`MSRoIHead` that shows its MaskIoU head the masks of all classes, after the RoI feature.

    They are pooled to its size, one channel each. A `FeatureOnlyMaskIoUHead` sees nothing else;
    `MSMaskIoUHead` would see the mask of the target class once more.
    """

    def _scoring_sizes(self, stage: int) -> dict[str, Any]:
        sizes = super()._scoring_sizes(stage)
        masks = 1 if self.mask_head.class_agnostic else self.mask_head.num_classes
        return dict(sizes, in_channels=sizes['in_channels'] + masks)

    @contextmanager
    def _observe_mask_head(self) -> Iterator[list[MaskHeadCall]]:
        with super()._observe_mask_head() as calls:
            yield calls
        calls[:] = [call._replace(roi_feats=self._with_masks(*call)) for call in calls]

    def _with_masks(self, roi_feats: Tensor, mask_logits: Tensor) -> Tensor:
        if self.mask_iou_head.detach_mask:
            mask_logits = mask_logits.detach()
        pooled = F.adaptive_max_pool2d(mask_logits.sigmoid(), roi_feats.shape[2:])
        return torch.cat([roi_feats, pooled.to(roi_feats.dtype)], 1)


@MODELS.register_module()
class MSFineFeatureRoIHead(MSRoIHead):
    """`MSRoIHead` whose MaskIoU head sees RoI features of twice the mask head's side, 28 x 28.

    They are extracted for the same RoIs as the mask head's. A mask of 28 x 28 is not pooled.
    """

    def init_mask_head(self, mask_roi_extractor: ConfigType, mask_head: ConfigType) -> None:
        if mask_roi_extractor is None:
            raise ValueError(
                'MSFineFeatureRoIHead extracts the features of the mask head at twice the size, '
                'but the mask head shares those of the box head: give a mask_roi_extractor.'
            )
        super().init_mask_head(mask_roi_extractor, mask_head)
        layer = mask_roi_extractor['roi_layer']
        size = tuple(2 * side for side in _pair(layer['output_size']))
        self.fine_roi_extractor = MODELS.build(
            {**mask_roi_extractor, 'roi_layer': {**layer, 'output_size': size}}
        )

    def _scoring_sizes(self, stage: int) -> dict[str, Any]:
        extractor = self.fine_roi_extractor
        size = extractor.roi_layers[0].output_size
        sizes = super()._scoring_sizes(stage)
        return dict(sizes, in_channels=extractor.out_channels, roi_feat_size=tuple(size))

    @contextmanager
    def _observe_mask_head(self) -> Iterator[list[MaskHeadCall]]:
        inputs: list[tuple] = []
        handle = self.mask_roi_extractor.register_forward_pre_hook(
            lambda _, given: inputs.append(given)
        )
        try:
            with super()._observe_mask_head() as calls:
                yield calls
        finally:
            handle.remove()
        calls[:] = [
            call._replace(roi_feats=self.fine_roi_extractor(*given))
            for call, given in zip(calls, inputs)
        ]
