"""The head's input (d) of the paper's ablations."""

from typing import Optional

import torch
from mmdet.registry import MODELS
from mmdet.utils import ConfigType
from torch import Tensor
from torch.nn.modules.utils import _pair

from ..mask_forward import MaskForward
from ..roi_heads import MSRoIHead


@MODELS.register_module()
class MSFineFeatureRoIHead(MSRoIHead):
    """`MSRoIHead` whose MaskIoU head sees RoI features of twice the mask head's side, 28 x 28.

    They are extracted for the same RoIs as the mask head's. A mask of 28 x 28 is not pooled.
    """

    def init_mask_head(self, mask_roi_extractor: ConfigType, mask_head: ConfigType) -> None:
        if mask_roi_extractor is None:
            raise ValueError(
                'MSFineFeatureRoIHead extracts what the mask head sees at twice the size, but the '
                'mask head shares the features of the box head: give a mask_roi_extractor.'
            )
        super().init_mask_head(mask_roi_extractor, mask_head)
        layer = mask_roi_extractor['roi_layer']
        size = tuple(2 * side for side in _pair(layer['output_size']))
        self.fine_roi_extractor = MODELS.build(
            {**mask_roi_extractor, 'roi_layer': {**layer, 'output_size': size}}
        )

    def _mask_forward(
        self, x: tuple[Tensor, ...], rois: Optional[Tensor] = None, *args, **kwargs
    ) -> dict[str, Tensor]:
        results = super()._mask_forward(x, rois, *args, **kwargs)
        # Kept as long as the logits are, and not by this module: they may hold a graph.
        results['mask_preds'].predicted_from = x[: self.fine_roi_extractor.num_inputs], rois
        return results

    def _scoring_sizes(self, stage: int) -> dict:
        extractor = self.fine_roi_extractor
        size = extractor.roi_layers[0].output_size
        sizes = super()._scoring_sizes(stage)
        return dict(sizes, in_channels=extractor.out_channels, roi_feat_size=tuple(size))

    def _scoring_feats(self, forward: MaskForward) -> Tensor:
        predicted_from = getattr(forward.mask_logits, 'predicted_from', None)
        if predicted_from is None:
            raise ValueError(
                'MSFineFeatureRoIHead extracts features from the pyramid that a mask was predicted '
                'from, which a ReplaySampler does not keep: give its sampler as mask_iou_sampler.'
            )
        # Detected samples have no gradient, and none is to reach the trunk from here.
        with torch.set_grad_enabled(forward.mask_logits.requires_grad):
            return self.fine_roi_extractor(*predicted_from)
