"""What is tested once stays; what depends on something else is another test."""

import json
import os
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from mmengine.config import Config

from msrcnn_plugin.apis import KeptTest, ScoredTestError, kept_test
from msrcnn_plugin.apis.kept_test import OUTCOME_NAME

from ..tested_models import write_model
from ..tiny_set import write_tiny_set


@pytest.fixture
def data(tmp_path):
    return write_tiny_set(tmp_path / 'set')


@pytest.fixture
def files(data, tmp_path):
    return write_model('plugin', data, tmp_path)


@pytest.fixture
def in_process(monkeypatch):
    """No child; the list of the folders that were tested in."""
    tested = []

    def run(test):
        tested.append(test.folder)
        kept_test.keep_outcome(test)

    monkeypatch.setattr(KeptTest, '_run_in_child', run)
    return tested


def test_in_a_child_and_kept(files, tmp_path, monkeypatch):
    monkeypatch.delenv('PYTHONUNBUFFERED', raising=False)
    test = KeptTest.of(*files, tmp_path / 'kept')
    assert not test.is_done
    found = test.run()
    assert test.is_done
    assert len(found.result.pairs) > 0
    assert found.figures['coco/segm_mAP'] == pytest.approx(found.result.rankings['mask'].ap())
    assert found.figures['cost/parameters'] > 1000
    assert found.figures['cost/peak_memory'] > 2**20
    masks = json.loads(found.results_file.read_text())
    assert len(masks) == len(found.result.pairs)
    assert os.path.isdir(found.image_folder)
    assert 'Average Precision' in (test.folder / 'log.txt').read_text()


def test_done_once(files, tmp_path, in_process):
    first = KeptTest.of(*files, tmp_path / 'kept').run()
    again = KeptTest.of(*files, tmp_path / 'kept').run()
    assert len(in_process) == 1
    first.pairs_file.unlink()
    assert not KeptTest.of(*files, tmp_path / 'kept').is_done
    assert again.figures == first.figures


def touch_image(data):
    os.utime(data / 'images' / '0.jpg', (1, 1))


def change_annotations(data):
    with open(data / 'annotations.json', 'a') as stream:
        stream.write(' ')


@pytest.mark.parametrize('change', [touch_image, change_annotations])
def test_other_data_is_another_test(files, data, tmp_path, change):
    before = KeptTest.of(*files, tmp_path)
    change(data)
    assert KeptTest.of(*files, tmp_path).folder != before.folder


def test_other_files_of_the_folder_do_not_matter(files, data, tmp_path):
    whole = {'test_dataloader.dataset.data_prefix.img': ''}
    before = KeptTest.of(*files, tmp_path, whole)
    (data / 'images' / 'another.jpg').write_bytes(b'')
    assert KeptTest.of(*files, tmp_path, whole).folder == before.folder


@pytest.mark.parametrize('wrap', ['ConcatDataset', 'RepeatDataset'])
def test_wrapped_data_sets_count(files, data, tmp_path, wrap):
    config, checkpoint = files
    cfg = Config.fromfile(config)
    inner = cfg.test_dataloader.dataset
    one = dict(datasets=[inner]) if wrap == 'ConcatDataset' else dict(dataset=inner, times=1)
    cfg.test_dataloader.dataset = dict(type=wrap, **one)
    cfg.dump(config)
    before = KeptTest.of(config, checkpoint, tmp_path)
    touch_image(data)
    assert KeptTest.of(config, checkpoint, tmp_path).folder != before.folder


def test_the_annotations_of_the_data_set_count(files, data, tmp_path):
    (data / 'listed.json').write_text((data / 'annotations.json').read_text())
    options = {'test_dataloader.dataset.ann_file': 'listed.json'}
    before = KeptTest.of(*files, tmp_path, options)
    with open(data / 'listed.json', 'a') as stream:
        stream.write(' ')
    after = KeptTest.of(*files, tmp_path, options)
    assert after.folder != before.folder
    assert after.annotations == before.annotations
    (data / 'listed.json').unlink()
    with pytest.raises(FileNotFoundError, match=r'listed\.json: no such file'):
        KeptTest.of(*files, tmp_path, options)


def test_modules_that_the_config_imports_count(files, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    package, module = tmp_path / 'own_package', tmp_path / 'own_module.py'
    package.mkdir()
    for file in (package / '__init__.py', package / 'part.py', module):
        file.write_text('')
    options = {'custom_imports.imports': ['msrcnn_plugin', 'own_package', 'own_module']}
    folders = [KeptTest.of(*files, tmp_path, options).folder]
    for file in (package / 'part.py', module):
        file.write_text('changed = True')
        folders.append(KeptTest.of(*files, tmp_path, options).folder)
    assert len(set(folders)) == 3


def test_libraries_count_and_what_draws_does_not(files, tmp_path, monkeypatch):
    versions = kept_test.distribution_versions(kept_test.LIBRARIES)
    assert {'numpy', 'pycocotools', 'torchvision'} <= versions.keys()
    before = KeptTest.of(*files, tmp_path)
    monkeypatch.setattr(kept_test, 'distribution_versions', lambda names: {})
    assert KeptTest.of(*files, tmp_path).folder != before.folder
    names = {file.name for file in kept_test.plugin_files()}
    assert 'kept_test.py' in names
    assert 'gallery.py' not in names


def test_other_weights_options_and_devices_are_other_tests(files, tmp_path, monkeypatch):
    _, checkpoint = files
    folders = [KeptTest.of(*files, tmp_path).folder]
    folders.append(KeptTest.of(*files, tmp_path, {'model.test_cfg.rcnn.score_thr': 0.5}).folder)
    monkeypatch.setattr(kept_test, 'device', lambda: 'another')
    folders.append(KeptTest.of(*files, tmp_path).folder)
    torch.save(dict(torch.load(checkpoint, weights_only=True), more=1), checkpoint)
    folders.append(KeptTest.of(*files, tmp_path).folder)
    assert len(set(folders)) == 4
    assert KeptTest.of(*files, tmp_path).folder == folders[-1]
    assert all(folder.parent == tmp_path for folder in folders)


def test_equal_ground_truth_is_told_by_its_content(files, data, tmp_path):
    copy = write_tiny_set(tmp_path / 'copy')
    elsewhere = write_model('mask_rcnn', copy, tmp_path / 'elsewhere')
    first, second = (KeptTest.of(*pair, tmp_path) for pair in (files, elsewhere))
    assert first.annotations == second.annotations
    change_annotations(copy)
    assert KeptTest.of(*elsewhere, tmp_path).annotations != first.annotations


def test_an_interrupted_test_is_not_done(files, tmp_path, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(kept_test, 'run_scored_test', interrupted)
    monkeypatch.setattr(KeptTest, '_run_in_child', kept_test.keep_outcome)
    test = KeptTest.of(*files, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        test.run()
    assert not test.is_done
    assert not (test.folder / OUTCOME_NAME).exists()


def test_a_checkpoint_of_another_model(files, data, tmp_path, monkeypatch):
    monkeypatch.delenv('PYTHONUNBUFFERED', raising=False)
    config, _ = files
    _, other = write_model('mask_rcnn', data, tmp_path)
    test = KeptTest.of(config, other, tmp_path)
    with pytest.raises(ScoredTestError, match=r'does not fit the model.*log\.txt'):
        test.run()
    assert not test.is_done
    assert 'Traceback' in (test.folder / 'log.txt').read_text()


class Fatal:
    """Ends the process that unpickles it, as running out of memory would."""

    def __reduce__(self):
        return os._exit, (9,)


def test_a_child_that_dies(files, tmp_path):
    test = KeptTest.of(*files, tmp_path, {'fatal': Fatal()})
    with pytest.raises(ScoredTestError, match='ended with status 9: was it out of memory'):
        test.run()


def test_a_failure_without_a_word_is_one(files, tmp_path, monkeypatch):
    context = Mock()
    context.Pipe.return_value = (Mock(recv=Mock(return_value='')), Mock())
    monkeypatch.setattr(kept_test.multiprocessing, 'get_context', lambda method: context)
    with pytest.raises(ScoredTestError, match=r'log\.txt'):
        KeptTest.of(*files, tmp_path).run()


@pytest.mark.parametrize(
    ('missing', 'words'),
    [('checkpoint', r'none\.pth: no such file'), ('config', r'no config at .*none\.py')],
)
def test_missing_files(files, tmp_path, missing, words):
    config, checkpoint = files
    pair = ('none.py', checkpoint) if missing == 'config' else (config, 'none.pth')
    with pytest.raises(FileNotFoundError, match=words):
        KeptTest.of(*pair, tmp_path)


def test_a_config_whose_types_are_classes(files, tmp_path, in_process):
    config, checkpoint = files
    text = Path(config).read_text()
    imports = 'from mmdet.datasets import CocoDataset\nfrom mmdet.evaluation import CocoMetric\n'
    types = "test_evaluator['type'] = CocoMetric\n"
    types += "test_dataloader['dataset']['type'] = CocoDataset\ndefault_scope = None\n"
    Path(config).write_text(imports + text + types)
    test = KeptTest.of(config, checkpoint, tmp_path)
    assert KeptTest.of(config, checkpoint, tmp_path).folder == test.folder
    assert len(test.run().result.pairs)


def test_missing_annotations(files, data, tmp_path):
    (data / 'annotations.json').unlink()
    with pytest.raises(FileNotFoundError, match=r'annotations\.json: no such file'):
        KeptTest.of(*files, tmp_path)


def test_an_evaluator_without_annotations(files, tmp_path):
    with pytest.raises(ValueError, match='no ann_file'):
        KeptTest.of(*files, tmp_path, {'test_evaluator.ann_file': None})
    with pytest.raises(ValueError, match='expected one of'):
        KeptTest.of(*files, tmp_path, {'test_evaluator.type': 'VOCMetric'})


def test_keeps_that_a_model_writes_mask_scores(data, tmp_path, in_process):
    for kind, expected in (('ms_rcnn', True), ('plugin', False)):
        found = KeptTest.of(*write_model(kind, data, tmp_path), tmp_path).run()
        assert found.writes_mask_scores is expected
