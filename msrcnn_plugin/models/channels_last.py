"""The host's mask head in training, with the channels of a pixel side by side in memory.

Convolutions of many small images are fastest in this layout, forward and backward; results differ
by rounding. At prediction nothing is changed: the host's results stay those of the host to the bit.
"""

from mmdet.models.roi_heads.mask_heads import FCNMaskHead, HTCMaskHead
from torch import Tensor, channels_last, nn

# Heads whose layers are torch's own. mmcv's operators (CARAFE, DCN) and other people's heads may
# read memory as rows of pixels whatever its strides say.
LAYOUT_FREE_HEADS = (FCNMaskHead, HTCMaskHead)


def train_channels_last(mask_head: nn.Module) -> None:
    """From now on ``mask_head`` sees channels-last features in training, where it can."""
    if type(mask_head) in LAYOUT_FREE_HEADS and not _uses_mmcv_operators(mask_head):
        mask_head.register_forward_pre_hook(_rearrange)


def _uses_mmcv_operators(module: nn.Module) -> bool:
    return any(type(layer).__module__.startswith('mmcv.ops') for layer in module.modules())


def _rearrange(mask_head: nn.Module, inputs: tuple) -> tuple:
    if not mask_head.training:
        return inputs
    return tuple(
        x.contiguous(memory_format=channels_last) if isinstance(x, Tensor) else x for x in inputs
    )
