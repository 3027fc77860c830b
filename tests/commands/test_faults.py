"""Faulty files, as labelling tools write them, through the commands as a user calls them."""

import importlib
import json
import shutil
import uuid

import pytest
from mmengine.config import Config
from PIL import Image

from msrcnn_plugin.commands.main import main
from msrcnn_plugin.evaluation import Matches

from ..own_project import run
from ..tiny_set import CLASSES

# mmengine says so of every inferencer: the visualizer has no folder of its own.
pytestmark = pytest.mark.filterwarnings('ignore:Failed to add .*LocalVisBackend')


@pytest.fixture
def project(models_folder, tmp_path):
    """A function: config and checkpoint on a data set that ``change(coco)`` edits, and the set."""

    def write(change):
        data = tmp_path / 'set'
        shutil.copytree(models_folder / 'set', data, dirs_exist_ok=True)
        file = data / 'annotations.json'
        coco = json.loads(file.read_text())
        change(coco)
        file.write_text(json.dumps(coco))
        cfg = Config.fromfile(models_folder / 'scored.py')
        cfg.test_dataloader.dataset.data_root = str(data)
        cfg.test_evaluator.ann_file = str(file)
        cfg.dump(tmp_path / 'config.py')
        return str(tmp_path / 'config.py'), str(models_folder / 'scored.pth'), data

    return write


def value(section, position, **fields):
    return lambda coco: coco[section][position].update(fields)


def group_of_one_name(coco):
    coco['categories'].insert(0, dict(id=0, name='car', supercategory='none'))


def rotated_image(coco):
    coco['images'][3].update(height=64)


IDS = dict(
    same=lambda old: old,
    large_numbers=lambda old: uuid.uuid4().int,
    texts=lambda old: str(uuid.uuid4()),
)
REFUSED = {
    'empty polygon': (
        value('annotations', 1, segmentation=[[]]),
        ['annotations.json', 'annotations[1] (id 2)', '`segmentation', '[]', 'three points'],
    ),
    'null': (
        value('annotations', 2, iscrowd=None),
        ['annotations.json', 'annotations[2] (id 3)', '`iscrowd` is None', 'expected 0 or 1'],
    ),
    'number as text': (
        value('annotations', 0, area='12'),
        ['annotations.json', 'annotations[0] (id 1)', "`area` is '12'", 'expected a number'],
    ),
    'group of one name': (
        group_of_one_name,
        ['annotations.json', 'categories[3] (id 3)', "`name` is 'car'", 'categories[0] (id 0)'],
    ),
    'EXIF': (rotated_image, ['3.jpg', '64 x 96', 'EXIF orientation 6', '96 x 64']),
}


@pytest.mark.parametrize(('change', 'parts'), REFUSED.values(), ids=REFUSED)
def test_is_refused_in_one_line_before_the_test(
    project, tmp_path, monkeypatch, capsys, change, parts
):
    module = importlib.import_module('msrcnn_plugin.apis.evaluate_checkpoint')
    monkeypatch.setattr(module, '_run', lambda runner: pytest.fail('tested'))
    *words, data = project(change)
    if change is rotated_image:
        tag = Image.Exif()
        tag[0x0112] = 6
        Image.new('RGB', (96, 64)).save(data / 'images' / '3.jpg', exif=tag)
    assert main(['report', *words, '--out', str(tmp_path / 'out')]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
    assert [part for part in parts if part not in line] == []
    assert not [*tmp_path.glob('out/*.npz'), *tmp_path.glob('out/*.html')]


def rename(new_id, ids):
    """A change of a COCO file: new ids, which are put into ``ids``."""

    def change(coco):
        for section, field in dict(images='image_id', categories='category_id').items():
            names = {entry['id']: new_id(entry['id']) for entry in coco[section]}
            ids[field] = set(names.values())
            for entry in coco[section]:
                entry['id'] = names[entry['id']]
            for annotation in coco['annotations']:
                annotation[field] = names[annotation[field]]
        for annotation in coco['annotations']:
            annotation['id'] = new_id(annotation['id'])

    return change


def test_any_ids_work_in_figures_gallery_pairs_and_queue(project, tmp_path):
    figures = []
    for name, new_id in IDS.items():
        ids = {}
        *words, data = project(rename(new_id, ids))
        out = tmp_path / name
        words += ['--out', str(out), '--json', str(tmp_path / 'figures.json'), '--name', 'tiny']
        assert main(['report', *words]) == 0
        assert 'misjudges' in (out / 'report.html').read_text(encoding='utf-8')
        content = json.loads((tmp_path / 'figures.json').read_text())['models']['tiny']
        figures.append(content['figures'])
        assert figures[-1] == pytest.approx(figures[0], nan_ok=True)
        assert set(Matches.load(out / 'pairs.npz').image_ids) == ids['image_id']
        files = dict(annotations=data / 'annotations.json', images=data / 'images')
        files['results'] = out / 'predictions.segm.json'
        again = [word for key, path in files.items() for word in (f'--{key}', str(path))]
        assert main(['report', str(out / 'pairs.npz'), '--out', str(out / 'again'), *again]) == 0
        assert 'misjudges' in (out / 'again' / 'report.html').read_text(encoding='utf-8')
        queue = out / 'queue.json'
        options = ['--below', '1', '--min-score', '0', '--device', 'cpu']
        assert main(['review', *words[:2], str(data / 'images'), str(queue), *options]) == 0
        queued = {a['category_id'] for a in json.loads(queue.read_text())['annotations']}
        assert queued
        assert queued <= ids['category_id']


@pytest.mark.parametrize(
    ('categories', 'part'),
    [
        ([dict(id=i, name=CLASSES[i // 2]) for i in range(3)], 'person, bicycle, car'),
        (None, '`categories`'),
        ([None], 'categories[0]'),
    ],
)
def test_a_queue_of_unclear_categories_is_refused(project, tmp_path, capsys, categories, part):
    *words, data = project(lambda coco: coco.update(categories=categories))
    queue = tmp_path / 'queue.json'
    assert main(['review', *words, str(data / 'images'), str(queue), '--device', 'cpu']) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
    assert 'annotations.json' in line
    assert part in line
    assert not queue.exists()


def test_training_goes_on_where_nothing_is_detected_and_the_best_is_to_be_saved(
    models_folder, tmp_path
):
    cfg = Config.fromfile(models_folder / 'scored.py')
    cfg.val_evaluator.type = 'MaskScoringMetric'
    cfg.model.test_cfg.rcnn.score_thr = 2.0
    cfg.default_hooks.checkpoint = dict(type='CheckpointHook', save_best='coco/bbox_mAP')
    cfg.train_cfg.val_interval = 1
    run(cfg, tmp_path).train()
    assert (tmp_path / 'epoch_1.pth').exists()
