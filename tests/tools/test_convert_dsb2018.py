"""The converter on a small Kaggle folder made here: pixel-exact, and it names what it left out."""

import json
import shutil

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from tools import convert_dsb2018 as converter

HEIGHT, WIDTH = 40, 60


def nuclei(count, seed):
    """Masks (H, W) uint8 of 0 and 255; the first two overlap."""
    rng = np.random.default_rng(seed)
    masks = []
    for i in range(count):
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        x, y = (20 + 4 * i, 20) if i < 2 else rng.integers(5, 35, 2)
        cv2.circle(mask, (int(x), int(y)), int(rng.integers(3, 6)), 255, -1)
        masks.append(mask)
    return masks


def write_image(root, name, masks, channels=4):
    for part in ('images', 'masks'):
        (root / name / part).mkdir(parents=True)
    rng = np.random.default_rng(len(name))
    image = rng.integers(0, 255, (HEIGHT, WIDTH, channels), dtype=np.uint8)
    cv2.imwrite(str(root / name / 'images' / f'{name}.png'), image)
    for i, mask in enumerate(masks):
        cv2.imwrite(str(root / name / 'masks' / f'{i:03d}.png'), mask)
    return image


@pytest.fixture
def kaggle(tmp_path):
    """Twelve images of 1 to 12 nuclei; the pixels of each by its id."""
    root = tmp_path / 'kaggle' / 'stage1_train'
    masks = {f'id{i:02d}': nuclei(i + 1, i) for i in range(12)}
    images = {name: write_image(root, name, found) for name, found in masks.items()}
    return tmp_path / 'kaggle', images, masks


def read(out, split):
    return COCO(str(out / 'annotations' / f'instances_{split}.json'))


def test_round_trip_is_pixel_exact(kaggle, tmp_path, capsys):
    source, images, masks = kaggle
    out, figures = tmp_path / 'coco', tmp_path / 'figures.json'
    assert converter.main([str(source), str(out), '--json', str(figures)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(out)
    seen = {}
    for split in ('train', 'val'):
        coco = read(out, split)
        assert coco.dataset['categories'] == [dict(id=1, name='nucleus')]
        for image in coco.dataset['images']:
            name = image['file_name'][: -len('.png')]
            pixels = cv2.imread(str(out / split / image['file_name']), cv2.IMREAD_UNCHANGED)
            assert np.array_equal(pixels, images[name][..., :3])
            assert pixels.shape[:2] == (image['height'], image['width'])
            seen[name] = [coco.annToMask(a) for a in coco.imgToAnns[image['id']]]
    assert seen.keys() == masks.keys()
    for name, found in seen.items():
        assert np.array_equal(np.array(found), np.array(masks[name]) // 255)
    assert (seen['id05'][0] & seen['id05'][1]).any()  # the overlap stayed in both
    counts = json.loads(figures.read_text())
    assert counts['train']['images'] + counts['val']['images'] == 12
    assert counts['train']['objects'] + counts['val']['objects'] == sum(range(1, 13))
    assert counts['warnings'] == []


def test_boxes_and_areas_are_those_of_the_pixels(kaggle, tmp_path):
    out = tmp_path / 'coco'
    converter.main([str(kaggle[0]), str(out)])
    coco = read(out, 'train')
    for annotation in coco.dataset['annotations']:
        rows, columns = np.nonzero(coco.annToMask(annotation))
        assert annotation['area'] == len(rows)
        assert annotation['bbox'] == [
            *(columns.min(), rows.min()),
            *(np.ptp(columns) + 1, np.ptp(rows) + 1),
        ]
        assert annotation['iscrowd'] == 0


def test_split_depends_on_the_ids_alone():
    names = [f'id{i}' for i in range(50)]
    splits = converter.split_of(names, 0.2)
    assert converter.split_of(names[::-1], 0.2) == splits
    assert list(splits.values()).count('val') == 10


@pytest.mark.parametrize(('share', 'val'), [(0.01, 1), (0.99, 3)])
def test_no_split_is_left_without_images(share, val):
    splits = converter.split_of(['a', 'b', 'c', 'd'], share)
    assert list(splits.values()).count('val') == val


def test_what_is_of_no_use_is_left_out_and_named(kaggle, tmp_path, capsys):
    source, _, masks = kaggle
    folder = source / 'stage1_train' / 'id03' / 'masks'
    cv2.imwrite(str(folder / 'empty.png'), np.zeros((HEIGHT, WIDTH), np.uint8))
    cv2.imwrite(str(folder / 'large.png'), np.full((HEIGHT + 1, WIDTH), 255, np.uint8))
    (folder / 'broken.png').write_bytes(b'no image')
    (folder / 'nothing.png').write_bytes(b'')
    (source / 'stage1_train' / 'id04' / 'images' / 'id04.png').write_bytes(b'no image')
    shutil.rmtree(source / 'stage1_train' / 'id05' / 'images')
    (source / 'stage1_train' / 'id05' / 'images').mkdir()
    out, figures = tmp_path / 'coco', tmp_path / 'figures.json'
    assert converter.main([str(source), str(out), '--json', str(figures)]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert all(line.startswith('warning: ') for line in lines)
    by_file = {line.split()[3] if ' mask ' in line else line.split()[1]: line for line in lines}
    assert by_file.keys() == {
        *('empty.png', 'large.png', 'broken.png', 'nothing.png'),
        *('id04:', 'id05:'),
    }
    assert '(41, 60) pixels' in by_file['large.png']
    written = json.loads(figures.read_text())
    assert len(written['warnings']) == 6
    assert written['train']['images'] + written['val']['images'] == 10
    objects = sum(len(found) for name, found in masks.items() if name not in ('id04', 'id05'))
    assert written['train']['objects'] + written['val']['objects'] == objects


def test_an_image_without_masks_is_kept(tmp_path):
    for name in ('one', 'two'):
        write_image(tmp_path / 'src', name, [], channels=3)
    assert converter.main([str(tmp_path / 'src'), str(tmp_path / 'out')]) == 0
    assert len(read(tmp_path / 'out', 'train').dataset['images']) == 1
    assert read(tmp_path / 'out', 'train').dataset['annotations'] == []


def test_a_set_of_unreadable_images_is_refused(tmp_path, capsys):
    for name in ('one', 'two'):
        write_image(tmp_path / 'src', name, nuclei(1, 0))
        (tmp_path / 'src' / name / 'images' / f'{name}.png').write_bytes(b'no image')
    assert converter.main([str(tmp_path / 'src'), str(tmp_path / 'out')]) == 2
    assert 'no readable image' in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
    ('arguments', 'advice'),
    [
        ([], 'required: src, out'),
        (['MISSING', 'OUT'], 'unpack stage1_train.zip'),
        (['EMPTY', 'OUT'], 'unpack stage1_train.zip'),
        (['SRC', 'FULL'], 'is not empty'),
        (['SRC', 'OUT', '--val-share', '1'], 'between 0 and 1'),
    ],
)
def test_wrong_arguments_end_in_one_line_and_status_2(arguments, advice, kaggle, tmp_path, capsys):
    for name in ('EMPTY', 'FULL'):
        (tmp_path / name).mkdir()
    (tmp_path / 'FULL' / 'thesis.txt').write_text('years of work')
    places = dict(SRC=kaggle[0], **{n: tmp_path / n for n in ('MISSING', 'EMPTY', 'OUT', 'FULL')})
    with pytest.raises(SystemExit) as stopped:
        converter.main([str(places.get(argument, argument)) for argument in arguments])
    lines = capsys.readouterr().err.strip().splitlines()
    assert stopped.value.code == 2
    assert len(lines) == 1
    assert advice in lines[0]
