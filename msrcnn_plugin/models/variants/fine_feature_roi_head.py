"""The head's input (d) of the paper's ablations."""

from mmdet.registry import MODELS
from mmdet.utils import ConfigType
from torch import Tensor, nn
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
        self.mask_roi_extractor.register_forward_hook(self._extract)

    def _extract(self, extractor: nn.Module, inputs: tuple, roi_feats: Tensor) -> None:
        # Here and not when it is asked for: samples are detected without gradient.
        self._fine_feats = self.fine_roi_extractor(*inputs)

    def _scoring_sizes(self, stage: int) -> dict:
        extractor = self.fine_roi_extractor
        size = extractor.roi_layers[0].output_size
        sizes = super()._scoring_sizes(stage)
        return dict(sizes, in_channels=extractor.out_channels, roi_feat_size=tuple(size))

    def _scoring_feats(self, forward: MaskForward) -> Tensor:
        # Of the mask head's last call, the only one that is scored. Not kept: they hold a graph.
        return vars(self).pop('_fine_feats')
