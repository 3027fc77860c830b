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

    def init_weights(self) -> None:
        super().init_weights()
        for conv in self.convs:
            # A channel of these has 9 inputs. Kaiming's usual count, of outputs, takes them for 9
            # times the channels, and nothing would be left of a feature after four.
            kaiming_init(conv.depthwise_conv.conv, mode='fan_in', nonlinearity='linear')

    def _conv(self, in_channels: int, out_channels: int, stride: int) -> nn.Module:
        # Without activations: the head's follows.
        return DepthwiseSeparableConvModule(
            in_channels, out_channels, 3, stride=stride, padding=1, act_cfg=None
        )
