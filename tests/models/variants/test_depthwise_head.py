import torch
import torch.nn.functional as F

from .heads import small_variant


def test_a_layer_is_nine_weights_a_channel_and_one_for_each_pair_of_channels():
    head = small_variant('DepthwiseMaskIoUHead', num_convs=2)
    biases = 5 + 8
    assert sum(param.numel() for param in head.convs[0].parameters()) == 9 * 5 + 5 * 8 + biases


def test_is_the_head_with_kernels_that_are_products():
    depthwise = small_variant('DepthwiseMaskIoUHead', num_convs=1)
    whole = small_variant('MSMaskIoUHead', num_convs=1)
    (layer,) = depthwise.convs
    within, across = layer.depthwise_conv.conv, layer.pointwise_conv.conv
    for conv in (within, across):
        conv.bias.data.zero_()
    weights = {name: value for name, value in depthwise.state_dict().items() if 'convs' not in name}
    weights['convs.0.weight'] = across.weight * within.weight.transpose(0, 1)
    weights['convs.0.bias'] = torch.zeros(8)
    whole.load_state_dict(weights)
    given = torch.randn(2, 4, 14, 14), torch.rand(2, 28, 28)
    torch.testing.assert_close(depthwise(*given), whole(*given))


def test_pretrained_weights_are_kept(tmp_path):
    file = str(tmp_path / 'trained.pth')
    trained = small_variant('DepthwiseMaskIoUHead')
    torch.save(trained.state_dict(), file)
    started = small_variant(
        'DepthwiseMaskIoUHead', init_cfg=dict(type='Pretrained', checkpoint=file)
    )
    for name, weight in started.state_dict().items():
        assert weight.equal(trained.state_dict()[name]), name


def test_a_feature_keeps_its_size_through_the_first_weights():
    head = small_variant('DepthwiseMaskIoUHead', in_channels=63, num_convs=4, conv_out_channels=64)
    x = torch.randn(4, 64, 14, 14).relu()
    size = x.std()
    for conv in head.convs:
        x = F.relu(conv(x))
    assert 0.3 < x.std() / size < 3
