"""A MaskIoU head of a ninth of the convolutions' cost."""

from mmcv.cnn import DepthwiseSeparableConvModule
from mmdet.registry import MODELS
from mmengine.model import kaiming_init
from torch import nn

from ..mask_iou_head import MSMaskIoUHead


@MODELS.register_module()
class DepthwiseMaskIoUHead(MSMaskIoUHead):
    """`MSMaskIoUHead` whose convolutions are depthwise separable: 3 x 3 in each channel, then 1 x 1
    across channels."""

    def _conv(self, in_channels: int, out_channels: int, stride: int) -> nn.Module:
        # Without activations: the head's follows.
        return _SeparableConv(in_channels, out_channels, 3, stride=stride, padding=1, act_cfg=None)


class _SeparableConv(DepthwiseSeparableConvModule):
    def init_weights(self) -> None:
        """After the head's init_cfg, but before weights that it may name (``Pretrained``)."""
        # A channel has 9 inputs. Kaiming's usual count, of outputs, takes them for 9 times the
        # channels, and nothing would be left of a feature after four convolutions.
        kaiming_init(self.depthwise_conv.conv, mode='fan_in', nonlinearity='linear')
