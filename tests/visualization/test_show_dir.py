"""Pictures of a test run, by mmdet's own hook, as `mim test --show-dir` switches it on."""

import cv2
import numpy as np
import pytest
from mmdet.visualization import DetLocalVisualizer
from mmengine.config import Config

from ..own_project import run
from ..tiny_set import CLASSES

pytestmark = [
    # mmdet's visualizer hands tensors to numpy.
    pytest.mark.filterwarnings('ignore:__array_wrap__ must accept:DeprecationWarning'),
    # Boxes of a model that was not trained lie on the border.
    pytest.mark.filterwarnings('ignore:Warning. The .* is out of bounds'),
]


def test_a_test_run_writes_pictures_with_both_numbers(models_folder, tmp_path, monkeypatch):
    cfg = Config.fromfile(models_folder / 'scored.py')
    cfg.merge_from_dict(
        dict(
            load_from=str(models_folder / 'scored.pth'),
            visualizer=dict(type='MaskScoringVisualizer', name='shown'),
            default_hooks=dict(
                visualization=dict(
                    type='DetVisualizationHook', draw=True, score_thr=0.0, test_out_dir='shown'
                )
            ),
        )
    )
    written = []
    draw = DetLocalVisualizer.draw_texts
    monkeypatch.setattr(
        DetLocalVisualizer,
        'draw_texts',
        lambda self, texts, *args, **kwargs: (
            written.append(texts),
            draw(self, texts, *args, **kwargs),
        )[1],
    )
    run(cfg, tmp_path).test()
    pictures = sorted(tmp_path.rglob('shown/*.jpg'))
    assert [path.name for path in pictures] == [f'{i}.jpg' for i in range(8)]
    for path in pictures:
        image = cv2.imread(str(models_folder / 'set' / 'images' / path.name))
        predicted = cv2.imread(str(path))[:, image.shape[1] :]  # right of the ground truth
        assert np.abs(predicted.astype(int) - image).mean() > 5
    assert len([text for text in written if ' (IoU ' in text]) == 8 * 20
    assert {text for text in written if ' (IoU ' not in text} <= set(CLASSES)
