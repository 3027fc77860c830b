import numpy as np
import pytest
import torch
from mmdet.registry import VISUALIZERS
from mmengine.structures import InstanceData

from msrcnn_plugin.visualization.mask_scoring_visualizer import captioned

from ..conftest import data_sample, disc

# mmdet's visualizer hands tensors to numpy.
pytestmark = pytest.mark.filterwarnings('ignore:__array_wrap__ must accept:DeprecationWarning')
CLASSES = ('cell', 'speck')


def predictions(count=3):
    masks = np.array([disc(40, 60, 15 + 12 * i, 20, 8) for i in range(count)], bool)
    instances = InstanceData(
        bboxes=torch.tensor([[7.0 + 12 * i, 12, 23 + 12 * i, 28] for i in range(count)]),
        masks=torch.from_numpy(masks.reshape(count, 40, 60)),
        labels=torch.tensor([0, 1, 0])[:count],
        scores=torch.tensor([0.9, 0.8, 0.7])[:count],
        mask_ious=torch.tensor([0.5, 0.25, 1.0])[:count],
    )
    instances.bboxes = instances.bboxes.reshape(count, 4)
    instances.mask_scores = instances.scores * instances.mask_ious
    return instances


@pytest.fixture
def texts(monkeypatch):
    """What the host writes, in its order."""
    from mmdet.visualization import DetLocalVisualizer

    written = []
    draw = DetLocalVisualizer.draw_texts

    def observed(self, texts, *args, **kwargs):
        written.append(texts)
        return draw(self, texts, *args, **kwargs)

    monkeypatch.setattr(DetLocalVisualizer, 'draw_texts', observed)
    return written


def draw(instances, **kwargs):
    visualizer = VISUALIZERS.get('MaskScoringVisualizer')()
    visualizer.dataset_meta = dict(classes=CLASSES, palette=[(255, 0, 0), (0, 0, 255)])
    sample = data_sample(InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0).long()))
    sample.pred_instances = instances
    image = np.zeros((40, 60, 3), np.uint8)
    visualizer.add_datasample('name', image, sample, draw_gt=False, **kwargs)
    return visualizer.get_image()


def test_writes_both_numbers_the_best_mask_last(texts):
    image = draw(predictions())
    assert texts == ['speck (IoU 25): 20.0', 'cell (IoU 50): 45.0', 'cell (IoU 100): 70.0']
    assert image.any()


def test_the_threshold_is_of_the_class_score(texts):
    draw(predictions(), pred_score_thr=0.75)
    assert texts == ['speck (IoU 25): 20.0', 'cell (IoU 50): 45.0']


def test_nothing_found_is_the_image(texts):
    assert not draw(predictions(0)).any()
    assert texts == []


def test_without_mask_ious_it_is_mmdets_picture(texts):
    instances = predictions()
    del instances.mask_ious, instances.mask_scores
    draw(instances)
    assert texts == ['cell: 90.0', 'speck: 80.0', 'cell: 70.0']


def test_leaves_the_prediction_as_it_was():
    instances = predictions()
    ranked = captioned(instances, None)
    assert ranked.label_names == ['class 1 (IoU 25)', 'class 0 (IoU 50)', 'class 0 (IoU 100)']
    assert instances.scores.tolist() == pytest.approx([0.9, 0.8, 0.7])
    assert 'label_names' not in instances
