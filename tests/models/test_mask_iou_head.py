import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from mmdet.models.roi_heads.mask_heads import MaskIoUHead
from mmengine.runner import load_checkpoint, save_checkpoint
from mmengine.runner.checkpoint import get_state_dict
from packaging.version import Version

from msrcnn_plugin.geometry import MaskIoUTarget
from msrcnn_plugin.models import MSMaskIoUHead

BCE = dict(type='CrossEntropyLoss', use_sigmoid=True, avg_non_ignore=True)
SMALL = dict(num_convs=2, num_fcs=1, conv_out_channels=8, fc_out_channels=16)


def small_head(in_channels=4, roi_feat_size=14, num_classes=3, **kwargs):
    sizes = dict(in_channels=in_channels, roi_feat_size=roi_feat_size, num_classes=num_classes)
    head = MSMaskIoUHead(**{**SMALL, **sizes, **kwargs})
    head.init_weights()
    return head


def target(iou, valid=None):
    iou = torch.tensor(iou)
    valid = torch.ones_like(iou) if valid is None else torch.tensor(valid)
    return MaskIoUTarget(iou, valid.bool())


@pytest.mark.parametrize('size', [14, 28])
def test_loads_mmdets_weights_and_predicts_the_same(size):
    stock = MaskIoUHead(roi_feat_size=size, num_classes=80)
    stock.init_weights()
    ours = MSMaskIoUHead(in_channels=256, roi_feat_size=size, num_classes=80)
    ours.load_state_dict(stock.state_dict(), strict=True)
    feats, logits = torch.randn(3, 256, size, size), torch.randn(3, 2 * size, 2 * size)
    torch.testing.assert_close(
        ours(feats, logits.sigmoid()), stock(feats, logits), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize('roi_feat_size', [14, 7, (7, 14), 1])
@pytest.mark.parametrize('mask_size', [28, 14, 7, 56, (28, 20)])
def test_any_roi_size_and_any_mask_size(roi_feat_size, mask_size):
    head = small_head(roi_feat_size=roi_feat_size)
    height, width = head.roi_feat_size
    mask_size = mask_size if isinstance(mask_size, tuple) else (mask_size, mask_size)
    ious = head(torch.randn(2, 4, height, width), torch.rand(2, *mask_size))
    assert ious.shape == (2, 3)


@pytest.mark.parametrize(('num_convs', 'num_fcs'), [(0, 0), (0, 2), (3, 0), (1, 1)])
@pytest.mark.filterwarnings('error')
def test_any_number_of_layers(num_convs, num_fcs):
    head = small_head(num_convs=num_convs, num_fcs=num_fcs)
    assert head(torch.randn(2, 4, 14, 14), torch.rand(2, 28, 28)).shape == (2, 3)
    assert (len(head.convs), len(head.fcs)) == (num_convs, num_fcs)


def test_the_mask_is_max_pooled_two_by_two_at_28_to_14():
    head = small_head(in_channels=0, num_convs=0, num_fcs=0, num_classes=14 * 14)
    head.fc_mask_iou.weight.data = torch.eye(14 * 14)
    head.fc_mask_iou.bias.data.zero_()
    probs = torch.rand(1, 28, 28)
    pooled = head(torch.zeros(1, 0, 14, 14), probs)
    assert torch.equal(pooled, F.max_pool2d(probs[:, None], 2, 2).flatten(1))


def test_class_agnostic_predicts_one_iou_for_every_class():
    head = small_head(class_agnostic=True)
    feats, probs = torch.randn(2, 4, 14, 14), torch.rand(2, 28, 28)
    ious = head(feats, probs)
    assert ious.shape == (2, 1)
    assert torch.equal(head.predict(feats, probs, torch.tensor([2, 0])), ious[:, 0].clamp(0, 1))


def test_no_rois():
    head = small_head()
    none = torch.zeros(0, 4, 14, 14), torch.zeros(0, 28, 28)
    assert head(*none).shape == (0, 3)
    assert head.predict(*none, torch.zeros(0).long()).shape == (0,)


def test_predicted_ious_are_in_the_unit_interval():
    head = small_head()
    head.fc_mask_iou.bias.data = torch.tensor([-5.0, 0.5, 5.0])
    feats, probs = torch.zeros(3, 4, 14, 14), torch.zeros(3, 28, 28)
    head.fc_mask_iou.weight.data.zero_()
    assert head.predict(feats, probs, torch.tensor([0, 1, 2])).tolist() == [0, 0.5, 1]


def test_prediction_in_parts_is_prediction_at_once():
    feats, probs = torch.randn(7, 4, 14, 14), torch.rand(7, 28, 28)
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0])
    head = small_head()
    at_once = head.predict(feats, probs, labels)
    head.max_rois = 3
    torch.testing.assert_close(head.predict(feats, probs, labels), at_once)


def test_loss_is_the_authors_half_squared_error_over_targets_above_zero():
    ious = torch.tensor([[0.9, 0.0], [0.0, 0.5], [0.3, 0.0]], requires_grad=True)
    loss = small_head().loss(ious, torch.tensor([0, 1, 0]), target([0.5, 0.9, 0.0]))
    assert loss['loss_mask_iou'].item() == pytest.approx(0.5 * (0.4**2 + 0.4**2) / 2)


def test_zero_targets_count_where_asked():
    ious = torch.tensor([[0.9, 0.0], [0.0, 0.5], [0.3, 0.0]])
    head = small_head(count_zero_targets=True)
    loss = head.loss(ious, torch.tensor([0, 1, 0]), target([0.5, 0.9, 0.0]))
    assert loss['loss_mask_iou'].item() == pytest.approx(0.5 * (0.4**2 + 0.4**2 + 0.3**2) / 3)


def test_what_is_not_valid_never_counts():
    ious = torch.tensor([[0.9], [0.2]])
    head = small_head(count_zero_targets=True, num_classes=1)
    loss = head.loss(ious, torch.tensor([0, 0]), target([0.0, 0.2], [False, True]))
    assert loss['loss_mask_iou'].item() == pytest.approx(0)


@pytest.mark.parametrize('rois', [0, 2])
def test_without_a_counted_positive_the_loss_is_zero_and_reaches_every_parameter(rois):
    head = small_head()
    ious = head(torch.randn(rois, 4, 14, 14), torch.rand(rois, 28, 28))
    loss = head.loss(ious, torch.zeros(rois).long(), target([0.0] * rois, [False] * rois))
    loss['loss_mask_iou'].backward()
    assert loss['loss_mask_iou'].item() == 0
    assert all(p.grad is not None and not p.grad.any() for p in head.parameters())


@pytest.mark.parametrize('detach_mask', [False, True])
def test_the_masks_gradient_can_be_kept_back(detach_mask):
    head = small_head(detach_mask=detach_mask)
    feats = torch.randn(2, 4, 14, 14, requires_grad=True)
    probs = torch.rand(2, 28, 28, requires_grad=True)
    head(feats, probs).sum().backward()
    assert feats.grad.any()
    assert (probs.grad is None) == detach_mask


@pytest.mark.parametrize('loss', ['MSELoss', 'L1Loss', 'SmoothL1Loss', 'BalancedL1Loss'])
def test_any_registered_regression_loss(loss):
    head = small_head(loss_iou=dict(type=loss))
    ious = head(torch.randn(2, 4, 14, 14), torch.rand(2, 28, 28))
    value = head.loss(ious, torch.tensor([0, 1]), target([0.4, 0.8]))['loss_mask_iou']
    assert value.shape == ()
    assert value.item() > 0


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
@pytest.mark.skipif(
    Version(torch.__version__) < Version('2.3'), reason='that torch has no float16 on the CPU'
)
def test_under_autocast_it_predicts_floats_near_those_of_full_precision(dtype):
    head = small_head()
    feats, probs = torch.randn(2, 4, 14, 14), torch.rand(2, 28, 28)
    with torch.autocast('cpu', dtype):
        half = head(feats.to(dtype), probs.to(dtype))
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, head(feats, probs), atol=0.02, rtol=0.02)


def test_says_which_sizes_it_lacks():
    with pytest.raises(ValueError, match=r'needs in_channels, num_classes.*MSMaskIoUHead'):
        MSMaskIoUHead(roi_feat_size=14)


@pytest.mark.parametrize('counts', [dict(num_convs=-1), dict(num_fcs=-2)])
def test_refuses_a_negative_number_of_layers(counts):
    with pytest.raises(ValueError, match='give 0 or more'):
        small_head(**counts)


def through_safetensors(weights):
    return safetensors.torch.load(safetensors.torch.save(weights))


def through_a_renaming(weights):
    renamed = {f'model.{name}': value for name, value in weights.items()}
    return {name.removeprefix('model.'): value for name, value in renamed.items()}


class TestWhatWeightsPredict:
    """Weights of the IoU and of its logit have the same names and shapes."""

    WAYS = pytest.mark.parametrize('way', [dict, through_safetensors, through_a_renaming])

    @staticmethod
    def head(**loss_iou):
        sizes = dict(in_channels=2, roi_feat_size=4, num_classes=1)
        narrow = dict(num_convs=1, num_fcs=0, conv_out_channels=2)
        return MSMaskIoUHead(loss_iou=loss_iou, **sizes, **narrow)

    @pytest.fixture
    def linear(self):
        return self.head(type='MSELoss')

    @pytest.fixture
    def logit(self):
        return self.head(**BCE)

    def test_exchanged_they_are_refused(self, linear, logit):
        with pytest.raises(ValueError, match=r'predict the IoU, but .* predicts the logit of'):
            logit.load_state_dict(linear.state_dict())
        with pytest.raises(ValueError, match=r'predict the logit of the IoU, but .*MSELoss'):
            linear.load_state_dict(logit.state_dict())

    @WAYS
    def test_they_say_it_without_metadata(self, linear, logit, way):
        other = self.head(**BCE)
        other.load_state_dict(way(logit.state_dict()), strict=True)
        assert torch.equal(other.fc_mask_iou.weight, logit.fc_mask_iou.weight)
        with pytest.raises(ValueError, match='predict the logit of the IoU, but'):
            linear.load_state_dict(way(logit.state_dict()))

    @WAYS
    def test_those_of_the_iou_are_mmdets(self, linear, logit, way):
        other, weights = self.head(type='MSELoss'), way(linear.state_dict())
        other.load_state_dict(weights, strict=True)
        assert torch.equal(other.fc_mask_iou.weight, linear.fc_mask_iou.weight)
        ours = MSMaskIoUHead(in_channels=256, roi_feat_size=14, num_classes=80)
        MaskIoUHead(num_classes=80).load_state_dict(way(ours.state_dict()), strict=True)
        # Taken for a start by a head that predicts logits, they are of an unknown kind.
        message = r"unknown what .* predict: .* state_dict\['predicts_iou_logits'\] = torch.tensor"
        with pytest.raises(ValueError, match=message):
            logit.load_state_dict(weights)

    def test_what_they_predict_can_be_stated(self, linear, logit):
        silent = {k: v for k, v in logit.state_dict().items() if k != 'predicts_iou_logits'}
        logit.load_state_dict({**silent, 'predicts_iou_logits': torch.tensor(1)})
        linear.load_state_dict({**silent, 'predicts_iou_logits': torch.tensor(0)})
        with pytest.raises(ValueError, match='predict the logit'):
            linear.load_state_dict({**silent, 'predicts_iou_logits': torch.tensor(1)})

    def test_checkpoints_of_before_say_it_in_metadata(self, linear, logit):
        old = logit.state_dict()
        del old['predicts_iou_logits']
        old._metadata['']['predicts_logits'] = True
        logit.load_state_dict(old, strict=True)
        with pytest.raises(ValueError, match='predict the logit of the IoU, but'):
            linear.load_state_dict(old)

    def test_a_start_without_them_is_taken(self, logit):
        missing = logit.load_state_dict({}, strict=False).missing_keys
        assert missing == [name for name, _ in logit.named_parameters()]

    def test_a_checkpoint_file_says_it(self, linear, logit, tmp_path):
        saved, other = torch.nn.Module(), torch.nn.Module()
        saved.mask_iou_head, other.mask_iou_head = logit, linear
        file = str(tmp_path / 'logit.pth')
        save_checkpoint(dict(state_dict=get_state_dict(saved)), file)
        load_checkpoint(saved, file, strict=True)
        with pytest.raises(ValueError, match='weights of mask_iou_head predict the logit'):
            load_checkpoint(other, file)
