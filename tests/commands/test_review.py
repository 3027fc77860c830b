"""The queue of a folder: its categories, bad images, and going on after an interruption."""

import json
import shutil

import cv2
import pytest
from mmengine.config import Config
from pycocotools.coco import COCO

from msrcnn_plugin.apis import MaskScoringInferencer
from msrcnn_plugin.commands.main import main

# mmengine says so of every inferencer: the visualizer has no folder of its own.
pytestmark = pytest.mark.filterwarnings('ignore:Failed to add .*LocalVisBackend')


def review(models_folder, out, *options, images=None, config='scored', checkpoint=None):
    words = [
        config if str(config).endswith('.py') else f'{models_folder}/{config}.py',
        checkpoint or f'{models_folder}/scored.pth',
        images or f'{models_folder}/set/images',
        out,
        *options,
        '--device',
        'cpu',
    ]
    return main(['review', *map(str, words)])


@pytest.fixture
def images(models_folder, tmp_path):
    """A folder of two images."""
    folder = tmp_path / 'images'
    folder.mkdir()
    for name in ('0.jpg', '1.jpg'):
        shutil.copy(models_folder / 'set' / 'images' / name, folder)
    return folder


@pytest.fixture
def predicted(monkeypatch):
    """The names of the images that were predicted."""
    names = []
    forward = MaskScoringInferencer.__call__

    def call(self, path, **kwargs):
        names.append(path.rpartition('/')[2])
        return forward(self, path, **kwargs)

    monkeypatch.setattr(MaskScoringInferencer, '__call__', call)
    return names


def test_a_folder_becomes_a_coco_file(models_folder, tmp_path, capsys):
    out, counts = tmp_path / 'queue.json', tmp_path / 'counts.json'
    assert review(models_folder, out, '--below', 1, '--min-score', 0, '--json', counts) == 0
    coco = COCO(out)
    names = [image['file_name'] for image in coco.dataset['images']]
    assert names == [f'{i}.jpg' for i in range(8)]
    ious = [annotation['mask_iou'] for annotation in coco.dataset['annotations']]
    assert ious == sorted(ious)
    assert len(ious) > 8
    written = json.loads(counts.read_text())
    assert written == dict(images=8, masks=len(ious), by='mask_iou', below=1.0, unreadable={})
    assert f'{len(ious)} masks with a predicted IoU below 1.0' in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir() if 'partial' in path.name] == []


def write_threshold(path, score, threshold):
    path.write_text(json.dumps(dict(score=score, threshold=threshold)))
    return path


def test_a_proven_threshold_leaves_the_rest_to_a_human(models_folder, images, tmp_path, capsys):
    everything, queue = tmp_path / 'all.json', tmp_path / 'queue.json'
    assert review(models_folder, everything, '--below', 1, '--min-score', 0, images=images) == 0
    found = json.loads(everything.read_text())['annotations']
    scores = sorted(annotation['mask_score'] for annotation in found)
    limit = sorted(set(scores))[-2]
    below = [score for score in scores if score < limit]
    file = write_threshold(tmp_path / 'threshold.json', 'mask_score', limit)
    words = ('--threshold', file, '--min-score', 0)
    assert review(models_folder, queue, *words, images=images) == 0
    queued = json.loads(queue.read_text())['annotations']
    assert [annotation['mask_score'] for annotation in queued] == below
    assert f'{len(below)} masks with a mask score below {limit}' in capsys.readouterr().out
    write_threshold(file, 'my_score', 0.5)
    assert review(models_folder, queue, *words, images=images) == 2
    assert 'is of my_score; expected one of' in capsys.readouterr().err


def test_tasks_of_label_studio(models_folder, images, tmp_path, capsys):
    out = tmp_path / 'queue.json'
    options = ('--below', 1, '--min-score', 0, '--format', 'label-studio')
    assert review(models_folder, out, *options, images=images) == 0
    tasks = json.loads(out.read_text())
    assert [task['data']['image'][-5:] for task in tasks] == ['0.jpg', '1.jpg']
    assert all(task['predictions'][0]['result'] for task in tasks)
    assert 'labelling interface: <View>' in capsys.readouterr().out


def test_an_unreadable_image_is_named_and_left_out(models_folder, images, tmp_path, capsys):
    content = (images / '0.jpg').read_bytes()
    bad = {'._1.jpg': b'\0\5\26\7', 'cut.jpg': content[: len(content) // 2], 'no.png': b''}
    bad['text.jpg'] = b'no picture at all'
    for name, content in bad.items():
        (images / name).write_bytes(content)
    assert review(models_folder, tmp_path / 'queue.json', images=images) == 1
    error = capsys.readouterr().err
    assert all(f'{name} is left out' in error for name in bad)
    assert '4 images left out' in error
    queue = json.loads((tmp_path / 'queue.json').read_text())
    assert [image['file_name'] for image in queue['images']] == ['0.jpg', '1.jpg']


def test_called_again_it_predicts_what_is_missing(
    models_folder, images, tmp_path, predicted, capsys
):
    out = tmp_path / 'queue.json'
    good = (images / '1.jpg').read_bytes()
    (images / '1.jpg').write_bytes(good[:200])
    assert review(models_folder, out, images=images) == 1
    (images / '1.jpg').write_bytes(good)
    assert review(models_folder, out, images=images) == 0
    assert predicted == ['0.jpg', '1.jpg']
    assert 'goes on after 1 image' in capsys.readouterr().err
    resumed = out.read_text()
    assert review(models_folder, out, images=images) == 0
    assert out.read_text() == resumed


def test_an_interruption_keeps_the_finished_images(
    models_folder, images, tmp_path, predicted, monkeypatch
):
    out = tmp_path / 'queue.json'
    forward = MaskScoringInferencer.__call__

    def interrupted(self, path, **kwargs):
        if path.endswith('1.jpg'):
            raise KeyboardInterrupt
        return forward(self, path, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(MaskScoringInferencer, '__call__', interrupted)
        assert review(models_folder, out, images=images) == 130
    assert not out.exists()
    with open(f'{out}.partial', 'a') as stream:
        stream.write('[["half a li')
    assert review(models_folder, out, images=images) == 0
    assert predicted == ['0.jpg', '1.jpg']
    assert len(json.loads(out.read_text())['images']) == 2


def test_other_options_start_again(models_folder, images, tmp_path, predicted):
    (images / 'no.png').touch()
    assert review(models_folder, tmp_path / 'queue.json', images=images) == 1
    assert review(models_folder, tmp_path / 'queue.json', '--below', 1, images=images) == 1
    assert predicted == ['0.jpg', '1.jpg'] * 2


def test_categories_are_those_of_the_file_whatever_the_order_of_classes(models_folder, tmp_path):
    """mmdet's labels follow the file's order, not that of metainfo."""
    coco = json.loads((models_folder / 'set' / 'annotations.json').read_text())
    coco['categories'] = [
        dict(id=7, name='bicycle'),
        dict(id=3, name='truck'),
        dict(id=5, name='car'),
        dict(id=1, name='person'),
    ]
    for annotation in coco['annotations']:
        annotation['category_id'] = 7
    (tmp_path / 'annotations.json').write_text(json.dumps(coco))
    cfg = Config.fromfile(models_folder / 'scored.py')
    cfg.test_dataloader.dataset.ann_file = str(tmp_path / 'annotations.json')
    cfg.dump(tmp_path / 'config.py')
    options = ('--below', 1, '--min-score', 0)
    assert review(models_folder, tmp_path / 'plain.json', *options) == 0
    assert review(models_folder, tmp_path / 'q.json', *options, config=tmp_path / 'config.py') == 0
    plain, queue = (json.loads((tmp_path / n).read_text()) for n in ('plain.json', 'q.json'))
    assert queue['categories'] == [coco['categories'][i] for i in (0, 2, 3)]
    of_label = {label + 1: queue['categories'][label]['id'] for label in range(3)}
    ours, theirs = ([a['category_id'] for a in found['annotations']] for found in (queue, plain))
    assert ours == [of_label[category] for category in theirs]


def test_images_of_one_stem_are_both_there(models_folder, images, tmp_path):
    cv2.imwrite(str(images / '0.png'), cv2.imread(str(images / '0.jpg')))
    assert review(models_folder, tmp_path / 'queue.json', images=images) == 0
    queue = json.loads((tmp_path / 'queue.json').read_text())
    assert [image['file_name'] for image in queue['images']] == ['0.jpg', '0.png', '1.jpg']


def test_bad_input_takes_one_line(models_folder, tmp_path, capsys):
    (tmp_path / 'broken.pth').write_bytes(b'no checkpoint')
    (tmp_path / 'broken.py').write_text('model = dict(')
    out = tmp_path / 'queue.json'
    wrong = {
        'no mask_ious': dict(config='plain', checkpoint=models_folder / 'plain.pth'),
        'does not fit the model': dict(checkpoint=models_folder / 'plain.pth'),
        'cannot be read as weights alone': dict(checkpoint=tmp_path / 'broken.pth'),
        'no config that can be read': dict(config=tmp_path / 'broken.py'),
        'holds no image': dict(images=tmp_path),
        'no such file': dict(config=tmp_path / 'none.py'),
    }
    for message, changes in wrong.items():
        assert review(models_folder, out, **changes) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count('\n') == 1
    assert review(models_folder, tmp_path / 'broken.py' / 'queue.json') == 2
    assert 'cannot be written' in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize('option', [('--below', '70'), ('--min-score', 'x')])
def test_limits_are_fractions(models_folder, tmp_path, capsys, option):
    with pytest.raises(SystemExit) as stopped:
        review(models_folder, tmp_path / 'queue.json', *option)
    assert stopped.value.code == 2
    assert 'give a number from 0 to 1' in capsys.readouterr().err
