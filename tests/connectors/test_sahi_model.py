"""Scores survive SAHI's slices and merges."""

import pickle

import cv2
import pytest

pytest.importorskip('sahi', reason='SAHI is not installed')
from sahi.predict import get_sliced_prediction

from msrcnn_plugin.connectors.sahi_model import MaskScore, MaskScoringSahiModel

pytestmark = [
    pytest.mark.filterwarnings('ignore:Failed to add .*LocalVisBackend'),
    pytest.mark.filterwarnings('ignore:__array_wrap__ must accept:DeprecationWarning'),
]


def model_of(models_folder, name='scored'):
    return MaskScoringSahiModel(
        model_path=f'{models_folder}/{name}.pth',
        config_path=f'{models_folder}/{name}.py',
        device='cpu',
        confidence_threshold=0.0,
    )


def test_a_score_is_a_number_with_its_factors():
    score = max(MaskScore(0.4, 0.8, 0.5), MaskScore(0.3, 0.6, 0.5))
    assert (score, score.class_score, score.mask_iou) == (0.4, 0.8, 0.5)
    assert pickle.loads(pickle.dumps(score)).mask_iou == 0.5


@pytest.mark.parametrize('postprocess', ['NMS', 'GREEDYNMM'])
def test_slices_and_merges_keep_both(models_folder, postprocess):
    image = cv2.imread(f'{models_folder}/set/images/0.jpg')
    found = get_sliced_prediction(
        cv2.resize(image, (160, 96)),
        model_of(models_folder),
        slice_height=96,
        slice_width=96,
        postprocess_type=postprocess,
        verbose=0,
    ).object_prediction_list
    assert found
    for each in found:
        score = each.score.value
        assert score == pytest.approx(score.class_score * score.mask_iou, rel=1e-5)
    assert max(each.bbox.maxx for each in found) > 96  # from the second slice as well


def test_a_plain_model_is_refused(models_folder):
    image = cv2.imread(f'{models_folder}/set/images/0.jpg')
    with pytest.raises(ValueError, match='predicts no mask scores; expected one with a MaskIoU'):
        model_of(models_folder, 'plain').perform_inference(image)
