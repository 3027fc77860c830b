"""Views of an image are merged: boxes as mmdet merges them, masks and IoUs by their mean."""

import pytest
import torch
from mmdet.models import DetTTAModel
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.model import BaseModel
from mmengine.structures import InstanceData

from msrcnn_plugin.models import MSMaskRankHead, MSTTAModel
from msrcnn_plugin.models.fitted_scores import FittedScores

from ..conftest import build_tiny_model, tiny_model_cfg
from .any_hosts import HOST_WARNINGS, build, tiny_cfg

SIZE = (8, 10)
TTA = dict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=100)


class Given(BaseModel):
    """A model that predicts what it is given."""

    def forward(self, *args, **kwargs):
        raise NotImplementedError


def mask(x1, y1, x2, y2, width=SIZE[1]):
    made = torch.zeros(SIZE[0], width, dtype=torch.bool)
    made[y1:y2, x1:x2] = True
    return made


def view(*found, flip='', **fields):
    """A view's predictions: score and box of each mask, a rectangle in the view's own frame."""
    boxes = torch.tensor([box for _, box in found], dtype=torch.float).reshape(-1, 4)
    masks = [mask(*box) for _, box in found]
    instances = InstanceData(
        bboxes=boxes,
        labels=torch.zeros(len(found), dtype=torch.long),
        scores=torch.tensor([score for score, _ in found], dtype=torch.float),
        masks=torch.stack(masks) if masks else torch.zeros(0, *SIZE, dtype=torch.bool),
        **{name: torch.tensor(values) for name, values in fields.items()},
    )
    meta = dict(ori_shape=SIZE, flip=bool(flip), flip_direction=flip or None)
    return DetDataSample(metainfo=meta, pred_instances=instances)


class Ranked(FittedScores, Given):
    """A detector without RoI heads, with a ranking head."""

    mask_rank_head = MSMaskRankHead()
    mask_iou_calibration = None


def merge(*views, module=None, **options):
    model = MSTTAModel(module=module or Given(), tta_cfg=TTA, **options)
    (sample,) = model.merge_preds([list(views)])
    return sample.pred_instances


@pytest.mark.parametrize(
    ('flip', 'box'),
    [
        ('horizontal', [4, 2, 9, 6]),
        ('vertical', [1, 2, 6, 6]),
        ('diagonal', [4, 2, 9, 6]),
    ],
)
def test_flipped_views_are_turned_back(flip, box):
    # (1, 2, 6, 6) in the image.
    merged = merge(view((0.9, [1, 2, 6, 6])), view((0.8, box), flip=flip))
    assert merged.bboxes.tolist() == [[1, 2, 6, 6]]
    assert merged.scores.tolist() == pytest.approx([0.9])
    assert torch.equal(merged.masks[0], mask(1, 2, 6, 6))
    assert merged.mask_agreements.tolist() == [1]


def test_masks_are_averaged_and_compared():
    merged = merge(view((0.9, [1, 2, 6, 6])), view((0.8, [1, 2, 7, 6])), view((0.7, [1, 2, 7, 6])))
    assert torch.equal(merged.masks[0], mask(1, 2, 7, 6))  # two of three
    assert merged.mask_agreements.tolist() == pytest.approx([(20 / 24 + 1 + 1) / 3])


def test_of_two_binary_masks_the_better_scored_decides():
    for first, second in (([1, 2, 6, 6], [1, 2, 7, 6]), ([1, 2, 7, 6], [1, 2, 6, 6])):
        merged = merge(view((0.6, second)), view((0.9, first)))
        assert torch.equal(merged.masks[0], mask(*first))


def test_mask_ious_are_averaged_over_the_views_that_have_the_detection():
    merged = merge(
        view((0.9, [1, 2, 6, 6]), mask_ious=[0.6], mask_scores=[0.54]),
        view((0.8, [1, 2, 6, 6]), mask_ious=[0.8], mask_scores=[0.64]),
        view(mask_ious=[], mask_scores=[]),
    )
    assert merged.mask_ious.tolist() == pytest.approx([0.7])
    assert merged.mask_scores.tolist() == pytest.approx([0.9 * 0.7])
    assert merged.mask_agreements.tolist() == pytest.approx([2 / 3])


def test_the_ranking_of_a_detector_is_averaged_as_that_of_a_roi_head():
    views = [
        view((class_score, [1, 2, 6, 6]), mask_ious=[0.8], mask_scores=[mask_score])
        for class_score, mask_score in ((0.9, 0.2), (0.6, 0.5))
    ]
    assert merge(*views, module=Ranked()).mask_scores.tolist() == pytest.approx([0.35])


def test_scores_are_products_with_the_agreement_on_request():
    merged = merge(view((0.9, [1, 2, 6, 6])), view(), rank_by_agreement=True)
    assert merged.mask_scores.tolist() == pytest.approx([0.45])


def test_boxes_are_those_of_mmdet():
    torch.manual_seed(0)
    corners = torch.randint(0, 5, (12, 2))
    boxes = torch.cat([corners, corners + torch.randint(1, 5, (12, 2))], 1).clamp(max=8).tolist()
    found = [(0.05 + 0.07 * i, box) for i, box in enumerate(boxes)]
    views = [view(*found[:7]), view(*found[7:], flip='horizontal')]
    merged = merge(*views)
    stock = DetTTAModel(module=Given(), tta_cfg=MSTTAModel(module=Given(), tta_cfg=TTA).tta_cfg)
    plain = [view(*found[:7]), view(*found[7:], flip='horizontal')]
    for sample in plain:
        del sample.pred_instances.masks
    (expected,) = stock.merge_preds([plain])
    for name in ('bboxes', 'labels', 'scores'):
        assert torch.equal(merged[name], expected.pred_instances[name])


def test_boxes_of_zero_are_taken_from_the_masks():
    first, second = view((0.9, [1, 2, 6, 6])), view((0.8, [1, 2, 7, 6]))
    for sample in (first, second):
        sample.pred_instances.bboxes.zero_()
    assert len(merge(first, second)) == 1


def test_no_detection_in_any_view():
    merged = merge(view(), view())
    assert merged.masks.shape == (0, *SIZE)
    assert merged.masks.dtype == torch.bool
    assert merged.mask_agreements.shape == (0,)


def alone_and_merged(module):
    """What a model predicts for an image, and merged from three views of it that are alike."""
    image = torch.randint(0, 255, (3, 96, 128), dtype=torch.uint8)
    meta = dict(
        img_shape=(96, 128),
        ori_shape=(48, 64),
        scale_factor=(2.0, 2.0),
        flip=False,
        flip_direction=None,
    )

    def data():
        return dict(inputs=[image], data_samples=[DetDataSample(metainfo=meta)])

    with torch.no_grad():
        expected = module.eval().test_step(data())[0].pred_instances
        views = dict(inputs=[[image]] * 3, data_samples=[data()['data_samples'] for _ in range(3)])
        model = MODELS.build(dict(type='MSTTAModel', module=module, tta_cfg=TTA)).eval()
        return expected, model.test_step(views)[0].pred_instances


@pytest.mark.parametrize('kind', ['MSRoIHead', 'StandardRoIHead', 'mask_rank_head'])
def test_views_that_are_all_alike_change_nothing(kind):
    if kind == 'mask_rank_head':
        module = build_tiny_model(mask_rank_head=dict(type='MSMaskRankHead'))
        torch.nn.init.normal_(module.roi_head.mask_rank_head.out.weight, std=0.1)
    else:
        module = build_tiny_model(kind)
    if kind != 'StandardRoIHead':
        module.roi_head.mask_iou_head.fc_mask_iou.bias.data.fill_(0.5)
    expected, found = alone_and_merged(module)
    assert torch.equal(found.bboxes, expected.bboxes)
    assert torch.equal(found.scores, expected.scores)
    # Probabilities come in steps of 1/255.
    assert (found.masks == expected.masks).float().mean() > 0.98
    assert found.mask_agreements.min() > 0.999
    for name in ('mask_ious', 'mask_scores'):
        assert (name in found) == (kind != 'StandardRoIHead')
        if name in found:
            # The ranking head compares the masks, which differ in pixels at the cut.
            atol = 0.05 if kind == 'mask_rank_head' else 1e-5
            torch.testing.assert_close(found[name], expected[name], rtol=0, atol=atol)


@pytest.mark.parametrize('name', [pytest.param('queryinst_r50_fpn', marks=HOST_WARNINGS)])
def test_a_detector_with_a_roi_head_votes_with_its_masks(name):
    expected, found = alone_and_merged(build(tiny_cfg(name)))
    assert found.masks.dtype == torch.bool
    found = found[(found.bboxes[:, 2:] > found.bboxes[:, :2]).all(1)]  # others overlap nothing
    assert len(found)
    for box, iou, mask in zip(found.bboxes, found.mask_ious, found.masks):
        alike = (expected.bboxes == box).all(1)
        assert torch.isclose(expected.mask_ious[alike], iou).any()
        assert (expected.masks[alike] == mask).flatten(1).all(1).any()


def test_what_cannot_be_merged():
    boxes_alone, unscaled = view(), view()
    del boxes_alone.pred_instances.masks
    silent = DetDataSample(metainfo=dict(ori_shape=SIZE), pred_instances=view().pred_instances)
    unscaled.set_metainfo(dict(ori_shape=(16, 20)))
    for sample, message in (
        (boxes_alone, 'use DetTTAModel'),
        (silent, 'add them to meta_keys'),
        (unscaled, 'does not rescale'),
    ):
        with pytest.raises(ValueError, match=message):
            merge(sample)


def test_the_config_of_mmdet_s_convention_builds():
    model = MODELS.build(dict(type='MSTTAModel', tta_cfg=TTA, module=tiny_model_cfg()))
    assert model.module.roi_head.test_cfg.mask_thr_binary == -1
    assert model.cut == 127
