import numpy as np
import pytest
import torch

from msrcnn_plugin.evaluation import input_checks

from .coco_sets import data_set


def sample_of(count=2, **fields):
    prediction = {
        'labels': torch.zeros(count, dtype=torch.long),
        'masks': torch.zeros(count, 4, 4),
        'scores': torch.full((count,), 0.5),
    }
    return {'img_id': 7, 'pred_instances': {**prediction, **fields}}


def check(sample, class_count=3, image_ids=(7, 8)):
    input_checks.check_prediction(sample, class_count=class_count, image_ids=image_ids)


@pytest.mark.parametrize('count', [0, 2])
def test_good_prediction(count):
    check(sample_of(count))
    assert input_checks.checked_scores(sample_of(count), 'scores', bounded=True).shape == (count,)


def test_image_that_the_annotations_do_not_list():
    with pytest.raises(ValueError, match=r'image 7, which the annotation file does not list'):
        check(sample_of(), image_ids=(8, 9))


@pytest.mark.parametrize('label', [-1, 3])
def test_label_of_another_data_set(label):
    labels = torch.tensor([0, label])
    with pytest.raises(ValueError, match=r'image 7: labels .* 3 classes. Is the checkpoint'):
        check(sample_of(labels=labels))


def test_box_detector():
    sample = sample_of()
    del sample['pred_instances']['masks']
    with pytest.raises(ValueError, match=r'image 7: .* no `masks`, only .*use CocoMetric'):
        check(sample)


def test_masks_of_another_number():
    with pytest.raises(ValueError, match=r'image 7: 3 masks for 2 labels'):
        check(sample_of(masks=torch.zeros(3, 4, 4)))


@pytest.mark.parametrize('shape', [(3,), (2, 1), ()])
def test_values_of_another_shape(shape):
    with pytest.raises(ValueError, match=r'`mask_ious` has shape .* expected \(2,\)'):
        input_checks.checked_scores(
            sample_of(mask_ious=torch.zeros(shape)), 'mask_ious', bounded=True
        )


@pytest.mark.parametrize(
    ('name', 'wrong'),
    [
        ('scores', -0.1),
        ('scores', float('nan')),
        ('scores', float('inf')),
        ('mask_ious', -0.1),
        ('mask_ious', 1.1),
    ],
)
def test_values_outside_their_domain(name, wrong):
    sample = sample_of(**{name: torch.tensor([0.5, wrong])})
    with pytest.raises(ValueError, match=rf'image 7: `{name}` holds .* expected values within'):
        input_checks.checked_scores(sample, name, bounded=True)


def test_scores_may_be_unbounded_but_not_undefined():
    sample = sample_of(scores=torch.tensor([-0.1, 1.1]))
    assert input_checks.checked_scores(sample, 'scores', bounded=False).max() > 1
    with pytest.raises(ValueError, match='expected values finite'):
        input_checks.checked_scores(
            sample_of(scores=torch.tensor([0.1, float('nan')])), 'scores', bounded=False
        )
    with pytest.raises(ValueError, match='within'):
        input_checks.checked_scores(
            sample_of(mask_ious=torch.tensor([0.1, 1.5])), 'mask_ious', bounded=False
        )


def test_a_head_that_diverged_is_left_to_the_end():
    values = torch.tensor([0.5, float('nan')])
    for name in ('mask_ious', 'mask_scores'):
        found = input_checks.checked_scores(sample_of(**{name: values}), name, bounded=True)
        assert np.isnan(found).tolist() == [False, True]


def test_half_precision_values():
    sample = sample_of(scores=torch.full((2,), 0.5, dtype=torch.bfloat16))
    assert input_checks.checked_scores(sample, 'scores', bounded=True).tolist() == [0.5, 0.5]


def test_field_of_some_images_only():
    with pytest.raises(ValueError, match=r'`mask_ious` is given for 1 of 2 images'):
        input_checks.check_same_fields([{'mask_ious': np.zeros(0)}, {}], ['mask_ious'])
    input_checks.check_same_fields([{}, {}], ['mask_ious'])


def test_image_predicted_twice():
    with pytest.raises(ValueError, match='image 4 was predicted 2 times'):
        input_checks.check_every_image_once([3, 4, 4])


def test_classes_of_another_data_set():
    input_checks.check_classes(('dog', 'cow'), data_set()['categories'])
    with pytest.raises(ValueError, match=r"1 of 2 classes are no category.*\['bird'\]"):
        input_checks.check_classes(('dog', 'bird'), data_set()['categories'])
