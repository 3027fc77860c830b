"""An exported file gives in onnxruntime what the host predicts."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from msrcnn_plugin.export.deployment import DeploymentModel, Detections
from msrcnn_plugin.export.onnx_file import (
    CalibratedScorer,
    export_detector,
    export_head,
    simplified,
)

from ..models.hosts import HOST_WARNINGS
from .models import NOTHING, SIZES, host_prediction, levels_of, noise, varied_model

pytestmark = HOST_WARNINGS
TOLERANCE = dict(bboxes=1e-3, labels=0, scores=1e-4, mask_probs=1e-4, mask_ious=1e-4)


def class_agnostic(cfg):
    cfg.roi_head.mask_head.class_agnostic = True
    cfg.roi_head.mask_iou_head.class_agnostic = True


def session_of(path):
    return onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])


def detections(session, image, size):
    inputs = dict(image=image.numpy(), valid_size=np.array(size))
    return Detections(*session.run(None, inputs))


def assert_equals_host(found, host, order=None):
    order = np.arange(len(host)) if order is None else order
    assert len(found.labels) == len(host)
    for name, atol in TOLERANCE.items():
        expected = host[name].numpy()
        np.testing.assert_allclose(getattr(found, name)[order], expected, rtol=0, atol=atol)


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    torch.manual_seed(0)
    model = varied_model()
    path = tmp_path_factory.mktemp('exported') / 'model.onnx'
    export_detector(model, path, dict(classes=['a', 'b', 'c']))
    return model, path, session_of(path)


@pytest.mark.parametrize('size', SIZES, ids=str)
def test_sizes_that_one_file_takes(exported, size):
    model, _, session = exported
    image = noise(SIZES[size])
    host = host_prediction(model, image, size)
    assert len(host)
    assert_equals_host(detections(session, image, size), host)


def test_images_without_detections(exported):
    _, _, session = exported
    for image, size in ((noise((64, 64)), NOTHING), (torch.zeros(1, 3, 64, 64), (64, 64))):
        found = detections(session, image, size)
        assert [len(part) for part in found] == [0] * len(found)
        assert found.bboxes.shape == (0, 4)
        assert found.mask_probs.shape == (0, 28, 28)


def test_operators_and_metadata(exported):
    _, path, session = exported
    file = onnx.load(path)
    assert {node.domain for node in file.graph.node} <= {'', 'ai.onnx'}
    assert json.loads(session.get_modelmeta().custom_metadata_map['msrcnn'])['classes'] == [*'abc']
    assert [output.name for output in session.get_outputs()] == list(Detections._fields)


def small_c4_without_nms(cfg):
    class_agnostic(cfg)
    cfg.rpn_head.anchor_generator.update(scales=[4], ratios=[1.0])
    for stage in (cfg.test_cfg.rpn, cfg.test_cfg.rcnn):
        stage.nms.iou_threshold = 1.0  # what ties is kept, whatever its order
    cfg.test_cfg.rpn.max_per_img = 16


def test_c4_and_a_blank_image_whose_scores_tie(tmp_path):
    model = varied_model('ms_rcnn_r50_c4', small_c4_without_nms, background=0.0)
    export_detector(model, tmp_path / 'c4.onnx', {}, size=(64, 64))
    session = session_of(tmp_path / 'c4.onnx')
    assert session.get_inputs()[0].shape == [1, 3, 64, 64]
    image, size = noise((64, 64)), (64, 60)
    host = host_prediction(model, image, size)
    assert len(host)
    assert_equals_host(detections(session, image, size), host)
    with torch.no_grad():
        eager = DeploymentModel(model)(image, torch.tensor(size))
    for name in ('bboxes', 'labels', 'scores', 'mask_probs'):
        assert torch.equal(getattr(eager, name), host[name])

    blank = torch.zeros(1, 3, 64, 64)
    host, found = host_prediction(model, blank, (64, 64)), detections(session, blank, (64, 64))
    assert len(host) > len(host.scores.unique())

    def sorted_rows(bboxes, labels):
        return np.lexsort([*np.round(np.asarray(bboxes).T), np.asarray(labels)])

    order = sorted_rows(found.bboxes, found.labels)
    assert_equals_host(found, host[sorted_rows(host.bboxes, host.labels)], order)


def class_agnostic_of_one_level(cfg):
    class_agnostic(cfg)
    for key in ('bbox_roi_extractor', 'mask_roi_extractor'):
        cfg.roi_head[key].finest_scale = 56


def test_preprocessing_in_the_graph_and_levels_without_rois(tmp_path):
    model = varied_model(change=class_agnostic_of_one_level)
    export_detector(model, tmp_path / 'raw.onnx', {}, preprocessing=True)
    image = np.random.default_rng(0).integers(0, 255, (50, 61, 3), dtype=np.uint8)
    found = Detections(*session_of(tmp_path / 'raw.onnx').run(None, dict(image=image)))
    data = dict(inputs=[torch.from_numpy(image).permute(2, 0, 1)])
    prepared = model.data_preprocessor(data)['inputs']
    assert prepared.shape[2:] == (64, 64)
    host = host_prediction(model, prepared, (50, 61))
    assert levels_of(model, host) == {0}
    assert_equals_host(found, host)


@pytest.mark.parametrize(('dynamo', 'one_output'), [(False, False), (True, False), (False, True)])
def test_the_head_alone(dynamo, one_output, tmp_path):
    def calibrated(cfg):
        cfg.roi_head.mask_iou_head.class_agnostic = one_output
        cfg.roi_head.mask_iou_calibration = dict(type='MaskIoUCalibration')

    model = varied_model(change=calibrated)
    model.roi_head.mask_iou_calibration.set_map([0, 0.3, 0.7, 1], [0.1, 0.2, 0.8, 0.9])
    export_head(model, tmp_path / 'head.onnx', {}, dynamo=dynamo)
    session = session_of(tmp_path / 'head.onnx')
    for count in (0, 1, 5):
        inputs = dict(
            roi_feats=torch.randn(count, 16, 14, 14),
            mask_probs=torch.rand(count, 28, 28),
            labels=torch.arange(count) % 3,
        )
        (found,) = session.run(None, {name: value.numpy() for name, value in inputs.items()})
        with torch.no_grad():
            expected = CalibratedScorer(model)(**inputs)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_a_simplified_file_gives_the_same(exported, tmp_path):
    _, path, session = exported
    slim = tmp_path / 'slim.onnx'
    simplified_model = simplified(onnx.load(path))
    onnx.save(simplified_model, slim)
    assert len(simplified_model.graph.node) < 0.9 * len(onnx.load(path).graph.node)
    assert {node.domain for node in simplified_model.graph.node} <= {'', 'ai.onnx'}
    simplified_session = session_of(slim)
    cases = [(size, noise(padded)) for size, padded in SIZES.items()]
    for size, image in [*cases, (NOTHING, noise((64, 64))), ((64, 64), torch.zeros(1, 3, 64, 64))]:
        expected = detections(session, image, size)
        found = detections(simplified_session, image, size)
        for name, values in found._asdict().items():
            np.testing.assert_allclose(values, getattr(expected, name), rtol=0, atol=1e-5)


def test_nothing_is_written_for_a_model_that_is_refused(tmp_path):
    model = varied_model()
    model.roi_head.test_cfg.nms = dict(type='soft_nms', iou_threshold=0.5)
    with pytest.raises(ValueError, match='not plain NMS'):
        export_detector(model, tmp_path / 'model.onnx', {})
    assert not list(tmp_path.iterdir())
