"""The synthetic set: the same bytes for a seed, valid COCO, and in it what it promises."""

import hashlib
from collections import Counter

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from msrcnn_plugin.synthetic import CLASSES, place_outline, unit_outline, write_set
from msrcnn_plugin.synthetic.scenes import CROWD_EVERY, MIN_VISIBLE_PX
from tools import make_demo_data

COUNTS = dict(train=32, val=10)
SIZE = 128


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp('made') / 'set'
    write_set(folder, **COUNTS, size=SIZE, seed=3)
    return folder


def read(folder, split):
    return COCO(str(folder / 'annotations' / f'instances_{split}.json'))


def hashes(folder):
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob('*.*')
    }


def test_seed_decides_every_byte_and_a_larger_set_begins_with_a_smaller_one(made, tmp_path):
    for name, seed in (('same', 3), ('other', 4)):
        write_set(tmp_path / name, train=2, val=1, size=SIZE, seed=seed)
    same, other = (hashes(tmp_path / name) for name in ('same', 'other'))
    images = {name: value for name, value in same.items() if name.endswith('.jpg')}
    assert len(images) == 3
    assert images.items() <= hashes(made).items()
    assert not set(same.values()) & set(other.values())
    write_set(tmp_path / 'again', train=2, val=1, size=SIZE, seed=3)
    assert hashes(tmp_path / 'again') == same


@pytest.mark.parametrize('split', COUNTS)
def test_is_valid_coco_with_disjoint_masks(made, split):
    coco = read(made, split)
    assert [c['name'] for c in coco.dataset['categories']] == list(CLASSES)
    assert len(coco.imgs) == COUNTS[split]
    for image in coco.dataset['images']:
        pixels = cv2.imread(str(made / split / image['file_name']))
        assert pixels.shape == (image['height'], image['width'], 3) == (SIZE, SIZE, 3)
        masks = [coco.annToMask(annotation) for annotation in coco.imgToAnns[image['id']]]
        assert not masks or np.sum(masks, axis=0).max() == 1
    ids = [annotation['id'] for annotation in coco.dataset['annotations']]
    assert ids == list(range(1, len(ids) + 1))
    for annotation in coco.dataset['annotations']:
        mask = coco.annToMask(annotation)
        rows, columns = np.nonzero(mask)
        box = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
        assert annotation['area'] == mask.sum() >= MIN_VISIBLE_PX
        assert annotation['bbox'] == box


@pytest.mark.parametrize('split', COUNTS)
def test_has_every_class_crowds_empty_images_and_both_kinds_of_mask(made, split):
    coco = read(made, split)
    annotations = coco.dataset['annotations']
    crowds = [a for a in annotations if a['iscrowd']]
    kinds = Counter(type(a['segmentation']) for a in annotations if not a['iscrowd'])
    assert {a['category_id'] for a in annotations} == {1, 2, 3, 4}
    assert len(crowds) == COUNTS[split] // CROWD_EVERY
    assert kinds[list] > 0
    assert kinds[dict] > 0
    assert COUNTS[split] > len({a['image_id'] for a in annotations})


@pytest.mark.parametrize('kind', CLASSES)
def test_an_outline_has_the_extent_and_the_centre_asked_for(kind):
    rng = np.random.default_rng(0)
    placed = place_outline(unit_outline(kind, rng), rng, 40.0, np.array([50.0, 60.0]))
    low, high = placed.min(axis=0), placed.max(axis=0)
    assert (high - low).max() == pytest.approx(40, abs=0.02)
    assert (low + high) / 2 == pytest.approx([50, 60], abs=0.02)


def test_command_writes_a_set_and_replaces_only_its_own(tmp_path, capsys):
    words = [str(tmp_path / 'set'), '--train', '2', '--val', '1', '--size', '64']
    assert make_demo_data.main(words) == 0
    assert [file.name for file in tmp_path.iterdir()] == ['set']
    with pytest.raises(SystemExit):
        make_demo_data.main(words)
    assert '--overwrite' in capsys.readouterr().err
    assert make_demo_data.main([*words, '--overwrite']) == 0
    (tmp_path / 'thesis.txt').write_text('years of work')
    with pytest.raises(SystemExit) as stopped:
        make_demo_data.main([str(tmp_path), '--overwrite'])
    assert stopped.value.code == 2
    assert 'something else' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('words', 'advice'),
    [(['--train', '0'], '1 or more'), (['--size', '10'], '64 or more'), (['--seed', '-1'], '0 or')],
)
def test_wrong_numbers_end_in_one_line_and_status_2(words, advice, capsys, tmp_path):
    with pytest.raises(SystemExit) as stopped:
        make_demo_data.main([str(tmp_path), *words])
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert advice in line


def test_lesions_are_small_and_most_images_are_empty(tmp_path):
    folder = tmp_path / 'lesions'
    assert make_demo_data.main([str(folder), '--train', '12', '--val', '4', '--lesions']) == 0
    coco = read(folder, 'train')
    assert [c['name'] for c in coco.dataset['categories']] == ['lesion']
    assert len(coco.imgs) == 12
    lesions = coco.dataset['annotations']
    assert [lesion['image_id'] for lesion in lesions] == [1, 5, 9]
    for lesion in lesions:
        assert 7 <= max(lesion['bbox'][2:]) <= 25
        assert MIN_VISIBLE_PX <= lesion['area'] < 0.01 * 256**2
        assert coco.annToMask(lesion).sum() == lesion['area']
    assert len(read(folder, 'val').dataset['annotations']) == 1
