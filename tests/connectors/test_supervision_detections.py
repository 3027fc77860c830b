"""Scores survive what supervision does with detections."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from ..evaluation.coco_samples import SIZE, small_results, small_truth

sv = pytest.importorskip('supervision', reason='supervision is not installed')
detections = pytest.importorskip('msrcnn_plugin.connectors.supervision_detections')


class Instances(SimpleNamespace):
    """As mmengine's `InstanceData`: fields that say whether they are there."""

    def __contains__(self, name):
        return hasattr(self, name)


def instances(**changes):
    masks = np.zeros((3, *SIZE), bool)
    masks[0, 2:12, 2:12] = masks[1, 3:12, 2:12] = masks[2, 20:25, 20:30] = True
    boxes = np.array([[2, 2, 12, 12], [2, 3, 12, 12], [20, 20, 30, 25]], float)
    fields = dict(
        bboxes=boxes,
        labels=np.array([1, 1, 0]),
        masks=masks,
        scores=np.array([0.9, 0.8, 0.7]),
        mask_ious=np.array([0.5, 0.75, 1.0]),
        mask_scores=np.array([0.45, 0.6, 0.7]),
    )
    return Instances(**{**fields, **changes})


def test_predictions_keep_their_scores_through_filters_and_nms():
    found = detections.detections_of(instances(), classes=('cat', 'dog'))
    assert found.data['class_name'].tolist() == ['dog', 'dog', 'cat']
    np.testing.assert_array_equal(found.confidence, [0.9, 0.8, 0.7])
    kept = found.with_nms(0.5)
    np.testing.assert_array_equal(sorted(kept.data['mask_iou']), [0.5, 1.0])
    sure = found[found.data['mask_iou'] >= 0.7]
    np.testing.assert_array_equal(sure.data['mask_score'], [0.6, 0.7])
    assert sure.mask.shape == (2, *SIZE)
    merged = sv.Detections.merge([sure, kept])
    assert len(merged.data['mask_score']) == 4


def test_tensors_and_models_without_mask_scores():
    import torch

    plain = {name: torch.as_tensor(value) for name, value in vars(instances()).items()}
    del plain['mask_ious'], plain['mask_scores']
    found = detections.detections_of(Instances(**plain))
    assert found.data == {}
    assert found.mask.dtype == bool


def test_no_instances():
    none = {name: value[:0] for name, value in vars(instances()).items()}
    assert len(detections.detections_of(Instances(**none), classes=('cat', 'dog'))) == 0


def test_results_files(tmp_path):
    truth, results = tmp_path / 'gt.json', tmp_path / 'dt.json'
    truth.write_text(json.dumps(small_truth()))
    results.write_text(json.dumps([dict(each, own=i) for i, each in enumerate(small_results())]))
    found = dict(detections.detections_from_results(truth, results, ['own']))
    assert list(found) == [1, 2]
    np.testing.assert_array_equal(found[1].confidence, [0.5, 0.25])
    np.testing.assert_array_equal(found[1].data['mask_score'], [0.25, 0.125])
    np.testing.assert_array_equal(found[1].data['own'], [0, 2])
    np.testing.assert_array_equal(found[1].xyxy[0], [2, 2, 12, 12])
    assert found[1].mask[0].sum() == 100
    assert found[2].data['class_name'].tolist() == ['dog']
    assert found[2].class_id.tolist() == [1]
    nothing = dict(detections.detections_from_results(small_truth(), []))
    assert [len(each) for each in nothing.values()] == [0, 0]
