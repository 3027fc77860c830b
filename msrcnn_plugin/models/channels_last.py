"""The host's mask head in training, with the channels of a pixel side by side in memory.

Convolutions of many small images are fastest in this layout, forward and backward. Results differ
by rounding. At prediction nothing changes: the results stay those of the host to the bit.
"""

from __future__ import annotations

from functools import partial

from mmdet.models.roi_heads.mask_heads import FCNMaskHead, HTCMaskHead
from torch import Tensor, channels_last, nn

# Heads whose layers are torch's own. mmcv's operators (CARAFE, DCN) and other people's heads may
# read memory as rows of pixels whatever its strides say.
LAYOUT_FREE_HEADS = (FCNMaskHead, HTCMaskHead)


def train_channels_last(mask_head: nn.Module, mask_iou_head: nn.Module) -> None:
    """Makes ``mask_head`` see channels-last features, where it can, while the other one trains.

    This includes the training of the MaskIoU head alone.
    """
    if type(mask_head) in LAYOUT_FREE_HEADS and not _uses_mmcv_operators(mask_head):
        # Not a closure: a copy of the model would go on asking the MaskIoU head of this one.
        mask_head.register_forward_pre_hook(partial(_rearrange, mask_iou_head))
        for layer in mask_head.modules():
            if isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1):
                _keep_strides_of_gradient(layer.weight)


def _uses_mmcv_operators(module: nn.Module) -> bool:
    return any(type(layer).__module__.startswith('mmcv.ops') for layer in module.modules())


def _keep_strides_of_gradient(weight: Tensor) -> None:
    """Gives the gradient of a (K, C, 1, 1) weight the strides of the weight.

    With channels last, the strides of the sides of 1 differ. That moves nothing in memory, but DDP
    warns about it.
    """
    weight.register_hook(lambda grad: grad.as_strided(weight.size(), weight.stride()))


def _rearrange(mask_iou_head: nn.Module, mask_head: nn.Module, inputs: tuple) -> tuple:
    if not mask_iou_head.training:
        return inputs
    return tuple(
        x.contiguous(memory_format=channels_last) if isinstance(x, Tensor) else x for x in inputs
    )
