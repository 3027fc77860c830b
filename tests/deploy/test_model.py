"""`msrcnn export` and `msrcnn predict` give what the host gives for the same image files."""

import json
import sys
from unittest.mock import patch

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from mmdet.apis import inference_detector, init_detector

from msrcnn_plugin.commands import main
from msrcnn_plugin.deploy import DeployedModel
from msrcnn_plugin.deploy.model import resize
from msrcnn_plugin.evaluation import evaluate_coco

from .constant_model import write_constant_model


@pytest.fixture(scope='module')
def folder(models_folder, tmp_path_factory):
    """The exported tiny model, and images of several sizes."""
    folder = tmp_path_factory.mktemp('deployed')
    words = ['export', models_folder / 'scored.py', models_folder / 'scored.pth']
    assert main.main([*map(str, words), str(folder / 'model.onnx')]) == 0
    (folder / 'images').mkdir()
    rng = np.random.default_rng(0)
    for name, size in {'a.png': (96, 96), 'b.jpg': (60, 100), 'c.png': (131, 77)}.items():
        image = cv2.resize(rng.integers(0, 255, (9, 9, 3), dtype=np.uint8), size[::-1])
        cv2.imwrite(str(folder / 'images' / name), image)
    return folder


@pytest.fixture(scope='module')
def deployed(folder):
    return DeployedModel(folder / 'model.onnx', threads=1)


def test_images_of_several_sizes(folder, deployed, models_folder):
    host = init_detector(
        str(models_folder / 'scored.py'), str(models_folder / 'scored.pth'), device='cpu'
    )
    for path in sorted((folder / 'images').iterdir()):
        expected = inference_detector(host, str(path)).pred_instances
        found = deployed(path)
        assert len(found) == len(expected) > 0
        np.testing.assert_allclose(found.bboxes, expected.bboxes, atol=1e-3, rtol=0)
        np.testing.assert_array_equal(found.labels, expected.labels)
        for name in ('scores', 'mask_ious', 'mask_scores'):
            np.testing.assert_allclose(getattr(found, name), expected[name], atol=1e-4, rtol=0)
        masks = expected.masks.numpy()
        inter, union = (found.masks & masks).sum((1, 2)), (found.masks | masks).sum((1, 2))
        assert (inter >= 0.999 * union).all()


def test_the_folder_becomes_a_results_file(folder, models_folder, tmp_path, capsys):
    out = tmp_path / 'results.json'
    words = ['predict', folder / 'model.onnx', folder / 'images', '--out', out]
    assert main.main([*map(str, words), '--json', str(tmp_path / 'counts.json')]) == 0
    entries = json.loads(out.read_bytes())
    assert {entry['file_name'] for entry in entries} == {'a.png', 'b.jpg', 'c.png'}
    assert json.loads((tmp_path / 'counts.json').read_text())['detections'] == len(entries)

    annotations = models_folder / 'set' / 'annotations.json'
    words = ['predict', folder / 'model.onnx', models_folder / 'set' / 'images', '--out', out]
    assert main.main([*map(str, words), '--annotations', str(annotations)]) == 0
    result = evaluate_coco(annotations, out)
    assert np.isfinite(result.figures['segm_mAP'])
    assert np.isfinite(result.figures['mask_iou_mae'])


@pytest.mark.parametrize('shape', [(100, 60), (60, 100), (77, 131), (448, 448)])
@pytest.mark.parametrize('keep_ratio', [True, False])
def test_resize_is_that_of_mmdet(shape, keep_ratio):
    from mmdet.datasets.transforms import Resize

    image = np.random.default_rng(0).integers(0, 255, (*shape, 3), dtype=np.uint8)
    expected = Resize(scale=(128, 90), keep_ratio=keep_ratio)(dict(img=image))['img']
    np.testing.assert_array_equal(resize(image, scale=(128, 90), keep_ratio=keep_ratio), expected)


def test_an_image_is_prepared_and_its_boxes_scaled_back(tmp_path):
    write_constant_model(tmp_path / 'model.onnx')
    model = DeployedModel(tmp_path / 'model.onnx')
    image = np.zeros((96, 80, 3), dtype=np.uint8) + np.array([10, 20, 30], dtype=np.uint8)
    inputs = model._inputs(resize(image, **model.metadata['resize']))
    assert inputs['valid_size'].tolist() == [48, 40]
    assert inputs['image'].shape == (1, 3, 64, 64)
    assert inputs['image'][0, :, 47, 39].tolist() == [14.5, 9, 3.5]  # (red - 1) / 2, …
    assert not inputs['image'][0, :, 48].any()
    found = model(image)
    assert found.bboxes.tolist() == [[16, 16, 64, 80], [0, 0, 96, 48]]
    assert found.class_names == ['person', 'bicycle']
    assert found.masks.sum((1, 2)).tolist() == [48 * 64, 80 * 48]


def test_a_model_of_one_size_takes_no_larger_image(tmp_path):
    write_constant_model(tmp_path / 'model.onnx', size=[32, 64])
    model = DeployedModel(tmp_path / 'model.onnx')
    assert len(model(np.zeros((60, 96, 3), dtype=np.uint8))) == 2
    with pytest.raises(ValueError, match='48 x 48 pixels, the model takes 32 x 64'):
        model(np.zeros((96, 96, 3), dtype=np.uint8))


def test_a_head_alone_is_no_detector(tmp_path):
    write_constant_model(tmp_path / 'head.onnx', kind='head')
    with pytest.raises(ValueError, match='a MaskIoU head alone'):
        DeployedModel(tmp_path / 'head.onnx')


def refused(words, capsys):
    status = main.main([*map(str, words)])
    error = capsys.readouterr().err
    assert status == 2
    assert error.count('\n') == 1
    return error


def test_an_image_that_cannot_be_read_stops_before_the_first_prediction(folder, tmp_path, capsys):
    images = tmp_path / 'images'
    images.mkdir()
    for path in (folder / 'images').iterdir():
        (images / path.name).write_bytes(path.read_bytes())
    (images / 'broken.png').write_bytes(b'none')
    out = tmp_path / 'results.json'
    assert 'broken.png' in refused(['predict', folder / 'model.onnx', images, '--out', out], capsys)
    assert not out.exists()


def test_files_that_are_no_exported_model(folder, tmp_path, capsys):
    images, out = folder / 'images', tmp_path / 'results.json'
    (tmp_path / 'text.onnx').write_text('none')
    words = ['predict', tmp_path / 'text.onnx', images, '--out', out]
    assert 'cannot be run by onnxruntime' in refused(words, capsys)
    write_constant_model(tmp_path / 'bare.onnx')
    file = onnx.load(tmp_path / 'bare.onnx')
    del file.metadata_props[:]
    onnx.save(file, tmp_path / 'bare.onnx')
    words[1] = tmp_path / 'bare.onnx'
    assert 'was not written by msrcnn export' in refused(words, capsys)
    write_constant_model(tmp_path / 'new.onnx')
    file = onnx.load(tmp_path / 'new.onnx')
    file.opset_import[0].version = 1000
    onnx.save(file, tmp_path / 'new.onnx')
    words[1] = tmp_path / 'new.onnx'
    assert onnxruntime.__version__ in refused(words, capsys)


def test_the_check_compares_with_the_host(folder, models_folder, tmp_path, capsys):
    words = ['export', models_folder / 'scored.py', models_folder / 'scored.pth']
    words += [tmp_path / 'raw.onnx', '--with-preprocessing', '--check', folder / 'images']
    assert main.main([*map(str, words), '--json', str(tmp_path / 'record.json')]) == 0
    check = json.loads((tmp_path / 'record.json').read_text())['check']
    assert (check['images'], check['other_detections']) == (3, 0)
    assert check['detections'] > 0
    assert max(check['differences'].values()) < 1e-3
    assert check['ratios']['host'] == 1
    assert 'onnxruntime: ' in capsys.readouterr().out


def test_wrong_input_of_export(models_folder, tmp_path, capsys):
    scored = [models_folder / 'scored.py', models_folder / 'scored.pth']
    out = tmp_path / 'model.onnx'
    assert 'multiples of 32' in refused(['export', *scored, out, '--size', 50, 64], capsys)
    both = ['--size', 64, 64, '--with-preprocessing']
    assert 'one of them at most' in refused(['export', *scored, out, *both], capsys)
    plain = [models_folder / 'plain.py', models_folder / 'plain.pth']
    assert 'StandardRoIHead' in refused(['export', *plain, out], capsys)
    options = ['--cfg-options', 'test_dataloader.dataset.pipeline.1.type=RandomFlip']
    assert 'the test pipeline is' in refused(['export', *scored, out, *options], capsys)
    assert not out.exists()


def test_simplifying_needs_its_package(models_folder, tmp_path, capsys):
    words = ['export', models_folder / 'scored.py', models_folder / 'scored.pth']
    out = tmp_path / 'head.onnx'
    with patch.dict(sys.modules, onnxslim=None):
        refused([*words, out, '--head-only', '--simplify'], capsys)
    assert not out.exists()
    assert main.main([*map(str, [*words, out, '--head-only', '--simplify'])]) == 0
    assert json.loads(onnx.load(out).metadata_props[0].value)['kind'] == 'head'


def test_an_image_of_another_kind(deployed):
    with pytest.raises(ValueError, match='float64 and shape'):
        deployed(np.zeros((8, 8)))
    assert isinstance(deployed(np.zeros((8, 8, 3), dtype=np.uint8)).masks, np.ndarray)
    assert torch.is_grad_enabled()
