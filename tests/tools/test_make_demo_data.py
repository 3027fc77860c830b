"""The synthetic set: the same bytes for a seed, valid COCO, and in it what it promises."""

import hashlib
import json
import subprocess
import sys
from collections import Counter

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from tools import make_demo_data as demo_data
from tools.make_demo_data import CLASSES, Thing

TRAIN, VAL, SIZE = 32, 10, 128


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp('made') / 'set'
    statistics = demo_data.make_set(out, train=TRAIN, val=VAL, size=SIZE, seed=3)
    return out, statistics


def read(out, split):
    return json.loads((out / 'annotations' / f'instances_{split}.json').read_text())


def hashes(out):
    return {
        str(file.relative_to(out)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in out.rglob('*')
        if file.is_file()
    }


def test_same_seed_gives_same_bytes_and_another_seed_does_not(made, tmp_path):
    demo_data.make_set(tmp_path / 'again', train=TRAIN, val=VAL, size=SIZE, seed=3)
    demo_data.make_set(tmp_path / 'other', train=TRAIN, val=VAL, size=SIZE, seed=4)
    assert hashes(tmp_path / 'again') == hashes(made[0])
    assert not set(hashes(tmp_path / 'other').values()) & set(hashes(made[0]).values())


def test_a_larger_set_begins_with_the_smaller_one(made, tmp_path):
    demo_data.make_set(tmp_path / 'small', train=2, val=1, size=SIZE, seed=3)
    small = hashes(tmp_path / 'small')
    images = [name for name in small if name.endswith('.jpg')]
    assert len(images) == 3
    assert {name: small[name] for name in images}.items() <= hashes(made[0]).items()


def test_splits_share_no_image(made):
    found = hashes(made[0])
    by_split = [{value for name, value in found.items() if name.startswith(s)} for s in ('tr', 'v')]
    assert [len(values) for values in by_split] == [TRAIN, VAL]
    assert not set.intersection(*by_split)


@pytest.mark.parametrize('split', ['train', 'val'])
def test_is_valid_coco(made, split, capsys):
    out, _ = made
    coco = COCO(str(out / 'annotations' / f'instances_{split}.json'))
    capsys.readouterr()
    ids = [annotation['id'] for annotation in coco.dataset['annotations']]
    assert ids == list(range(1, len(ids) + 1))
    assert [c['name'] for c in coco.dataset['categories']] == list(CLASSES)
    for image in coco.dataset['images']:
        pixels = cv2.imread(str(out / split / image['file_name']))
        assert pixels.shape == (image['height'], image['width'], 3) == (SIZE, SIZE, 3)
    for annotation in coco.dataset['annotations']:
        mask = coco.annToMask(annotation)
        rows, columns = np.nonzero(mask)
        box = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
        assert annotation['area'] == mask.sum() >= demo_data.MIN_VISIBLE_PX
        assert annotation['bbox'] == box


def test_masks_of_an_image_do_not_overlap(made, capsys):
    coco = COCO(str(made[0] / 'annotations' / 'instances_train.json'))
    capsys.readouterr()
    for image_id, annotations in coco.imgToAnns.items():
        covered = sum(coco.annToMask(annotation).astype(int) for annotation in annotations)
        assert covered.max() == 1, f'image {image_id}'


def test_has_every_class_crowds_empty_images_and_both_kinds_of_mask(made):
    for split in ('train', 'val'):
        coco = read(made[0], split)
        annotations = coco['annotations']
        crowds = [a for a in annotations if a['iscrowd']]
        kinds = Counter(type(a['segmentation']) for a in annotations if not a['iscrowd'])
        assert {a['category_id'] for a in annotations} == {1, 2, 3, 4}
        assert len(crowds) == len(coco['images']) // demo_data.CROWD_EVERY
        assert all(isinstance(a['segmentation'], dict) for a in crowds)
        assert kinds[list] > 0
        assert kinds[dict] > 0
        assert len(coco['images']) > len({a['image_id'] for a in annotations})


def test_sizes_reach_from_8_px_to_half_the_image(made):
    extents = [
        max(a['bbox'][2:]) for a in read(made[0], 'train')['annotations'] if not a['iscrowd']
    ]
    # Rasterising moves an extent by a pixel; hiding can only lessen it.
    assert min(extents) <= 12
    assert SIZE * 0.4 < max(extents) <= SIZE / 2 + 1


def test_statistics_count_what_was_written(made):
    out, statistics = made
    for split, count in (('train', TRAIN), ('val', VAL)):
        annotations = read(out, split)['annotations']
        found = statistics[split]
        assert found['images'] == count
        assert found['objects'] + found['crowds'] == len(annotations)
        assert sum(found['by_class'].values()) == found['objects']
        assert found['small'] + found['medium'] + found['large'] == found['objects']
        assert found['polygons'] + found['rles'] == found['objects']


def square(size, start, stop):
    mask = np.zeros((size, size), bool)
    mask[start:stop, start:stop] = True
    return mask


def test_hidden_pixels_leave_the_mask_and_take_the_polygon_along():
    below = Thing('cell', square(20, 0, 10), polygon=[0, 0, 10, 0, 10, 10], full_area=100)
    apart = Thing('cell', square(20, 15, 20), polygon=[15, 15, 20, 15, 20, 20], full_area=25)
    demo_data.hide([below, apart], square(20, 5, 12))
    assert below.mask.sum() == 75
    assert below.polygon is None
    assert apart.mask.sum() == 25
    assert apart.polygon


@pytest.mark.parametrize(('stop', 'leaves'), [(7, True), (8, False)])
def test_nothing_is_hidden_beyond_recognition(stop, leaves):
    thing = Thing('cell', square(20, 0, 10), full_area=100)  # 60 of 100 px may be hidden
    assert demo_data.leaves_enough([thing], square(20, 0, stop)) == leaves


@pytest.mark.parametrize('kind', CLASSES)
def test_an_outline_has_the_extent_and_the_centre_asked_for(kind):
    rng = np.random.default_rng(0)
    outline = demo_data.unit_outline(kind, rng)
    placed = demo_data.place_outline(outline, rng, 40.0, np.array([50.0, 60.0]))
    low, high = placed.min(axis=0), placed.max(axis=0)
    assert (high - low).max() == pytest.approx(40, abs=0.02)
    assert (low + high) / 2 == pytest.approx([50, 60], abs=0.02)


def run_tool(*arguments):
    command = [sys.executable, demo_data.__file__, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_command_writes_set_and_statistics(tmp_path):
    out, figures = tmp_path / 'set', tmp_path / 'figures.json'
    options = ['--train', 2, '--val', 1, '--size', 64, '--json', figures]
    done = run_tool(out, *options)
    assert done.returncode == 0, done.stderr
    assert json.loads(figures.read_text())['train']['images'] == 2
    assert done.stdout.splitlines()[-1] == str(out)
    assert sorted(file.name for file in tmp_path.iterdir()) == ['figures.json', 'set']
    refused = run_tool(out, *options)
    assert refused.returncode == 2
    assert '--overwrite' in refused.stderr
    assert run_tool(out, *options, '--overwrite').returncode == 0


@pytest.mark.parametrize(
    ('arguments', 'advice'),
    [
        ([], 'required: out'),
        (['OUT', '--train', '0'], 'at least 1'),
        (['OUT', '--size', '10'], 'at least 64 px'),
        (['OUT', '--seed', '-1'], '0 or more'),
        (['OUT', '--val', 'many'], 'invalid int'),
    ],
)
def test_wrong_arguments_end_in_one_line_and_status_2(arguments, advice, capsys, tmp_path):
    with pytest.raises(SystemExit) as stopped:
        demo_data.parse_args([str(tmp_path / a) if a == 'OUT' else a for a in arguments])
    lines = capsys.readouterr().err.strip().splitlines()
    assert stopped.value.code == 2
    assert len(lines) == 1
    assert advice in lines[0]


def test_never_overwrites_what_it_did_not_make(tmp_path, capsys):
    (tmp_path / 'thesis.txt').write_text('years of work')
    with pytest.raises(SystemExit) as stopped:
        demo_data.parse_args([str(tmp_path), '--overwrite'])
    assert stopped.value.code == 2
    assert 'something else' in capsys.readouterr().err
