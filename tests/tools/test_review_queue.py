import json

import pytest
from pycocotools.coco import COCO

from tools import review_queue as tool

# mmengine says so of every inferencer: the visualizer has no folder of its own.
pytestmark = pytest.mark.filterwarnings('ignore:Failed to add .*LocalVisBackend')


def words(models_folder, name, *more):
    model = [f'{models_folder}/{name}.py', f'{models_folder}/{name}.pth']
    return [*model, f'{models_folder}/set/images', *map(str, more), '--device', 'cpu']


def test_a_folder_becomes_a_coco_file(models_folder, tmp_path, capsys):
    out, counts = tmp_path / 'queue.json', tmp_path / 'counts.json'
    options = (out, '--below', 1, '--min-score', 0, '--json', counts)
    assert tool.main(words(models_folder, 'scored', *options)) == 0
    coco = COCO(out)
    assert [image['file_name'] for image in coco.dataset['images']] == [
        f'{i}.jpg' for i in range(8)
    ]
    ious = [annotation['mask_iou'] for annotation in coco.dataset['annotations']]
    assert ious == sorted(ious)
    assert len(ious) > 8
    assert json.loads(counts.read_text()) == dict(images=8, masks=len(ious), below=1.0)
    assert f'{len(ious)} masks with a predicted IoU below 1.0' in capsys.readouterr().out


def test_a_model_without_mask_ious_takes_one_line(models_folder, tmp_path, capsys):
    assert tool.main(words(models_folder, 'plain', tmp_path / 'queue.json')) == 2
    error = capsys.readouterr().err
    assert error.startswith('review_queue.py: the predictions have no mask_ious')
    assert error.count('\n') == 1
    assert not (tmp_path / 'queue.json').exists()


@pytest.mark.parametrize(
    ('more', 'advice'),
    [
        (['nowhere/queue.json'], 'there is no folder nowhere'),
        (['queue.json', '--below', '70'], "'70': give a number from 0 to 1"),
        (['queue.json', '--min-score', 'x'], "'x': give a number from 0 to 1"),
    ],
)
def test_wrong_arguments_take_one_line(models_folder, more, advice, capsys):
    with pytest.raises(SystemExit) as raised:
        tool.parse_args(words(models_folder, 'scored', *more))
    assert raised.value.code == 2
    error = capsys.readouterr().err
    assert advice in error
    assert error.count('\n') == 1


def test_a_folder_without_images_takes_one_line(models_folder, tmp_path, capsys):
    arguments = words(models_folder, 'scored', tmp_path / 'queue.json')
    arguments[2] = str(tmp_path)
    assert tool.main(arguments) == 2
    assert 'holds no image' in capsys.readouterr().err
