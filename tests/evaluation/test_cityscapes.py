"""Cityscapes' rules by hand, and its own scripts on random images."""

import json
import sys

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as mask_utils

from msrcnn_plugin.evaluation import evaluate_coco
from msrcnn_plugin.evaluation.cityscapes import (
    CLASSES,
    cityscapes_ap,
    cityscapes_ground_truth,
)

SIZE = (80, 120)
ROAD, SKY_VOID, CAR, PERSON = 7, 4, 26, 24


def write(folder, name, ids):
    path = folder / 'town' / f'{name}_gtFine_instanceIds.png'
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(ids.astype(np.uint16)).save(path)


def rle_of(mask):
    rle = mask_utils.encode(np.asfortranarray(mask.astype(np.uint8)))
    return dict(rle, counts=rle['counts'].decode())


def box(x, y, width, height):
    mask = np.zeros(SIZE, bool)
    mask[y : y + height, x : x + width] = True
    return mask


def found(mask, score, category=CAR, image='town_000000_000001'):
    rle = rle_of(mask)
    return dict(image_id=image, category_id=category, segmentation=rle, score=score)


@pytest.fixture
def scene(tmp_path):
    """Two cars, a small one, a group of cars, and unlabelled pixels."""
    ids = np.full(SIZE, ROAD)
    for number, mask in enumerate((box(0, 0, 20, 20), box(30, 0, 20, 20), box(60, 0, 9, 9))):
        ids[mask] = 1000 * CAR + number
    ids[box(0, 40, 40, 20)] = CAR
    ids[box(80, 40, 40, 40)] = SKY_VOID
    write(tmp_path, 'town_000000_000001', ids)
    return tmp_path


def test_annotations_become_coco_files(scene):
    truth = cityscapes_ground_truth(scene)
    assert [image['id'] for image in truth['images']] == ['town_000000_000001']
    assert [gt['iscrowd'] for gt in truth['annotations']] == [1, 0, 0, 0]
    assert {gt['category_id'] for gt in truth['annotations']} == {CAR}
    result = evaluate_coco(truth, [found(box(0, 0, 20, 20), 0.9)])
    assert result.matches.true_iou.tolist() == [1]


def test_groups_small_objects_and_void_are_ignored(scene):
    masks = [box(0, 0, 20, 20), box(0, 40, 10, 10), box(60, 0, 9, 9), box(90, 50, 10, 10)]
    figures = cityscapes_ap(scene, [found(mask, 0.9) for mask in masks])['score']
    # One of two cars, and nothing that is wrong: recall 1 / 2, precision 1.
    assert figures['AP'] == figures['AP50'] == figures['car'] == pytest.approx(0.5)
    assert np.isnan(figures['person'])


def test_duplicates_and_false_alarms(scene):
    results = [
        found(box(0, 0, 20, 20), 0.5),
        found(box(0, 0, 19, 20), 0.9),
        found(box(50, 20, 10, 10), 0.8),
    ]
    # The duplicate of higher score takes the car, at every threshold but those above 0.95.
    # At 0.9, 0.8 and 0.5: precision 1, 1/2, 1/3 at recall 1/2. Steps of half the difference.
    figures = cityscapes_ap(scene, results)['score']
    assert figures['AP50'] == pytest.approx(1 * 0.25 + 1 * 0.25)


def test_nothing_found_and_no_annotations(scene, tmp_path):
    assert cityscapes_ap(scene, [])['score']['AP'] == 0
    with pytest.raises(ValueError, match='holds no'):
        cityscapes_ap(tmp_path / 'town' / 'none', [])


def random_scene(rng, name, folder):
    ids = np.full(SIZE, ROAD)
    labels = [CAR, PERSON]
    results = []
    ids[box(*rng.integers(0, 40, 2), 30, 30)] = SKY_VOID
    for number in range(8):
        label = int(rng.choice(labels))
        x, y, w, h = (int(v) for v in (*rng.integers(0, 70, 2), *rng.integers(5, 40, 2)))
        mask = box(x, y, w, h)
        ids[mask] = label if rng.random() < 0.2 else 1000 * label + number
        for _ in range(rng.integers(0, 3)):
            dx, dy = rng.integers(-3, 4, 2)
            moved = box(max(0, x + dx), max(0, y + dy), w, h)
            if moved.any():
                results.append(found(moved, round(float(rng.random()), 1), label, name))
    for _ in range(4):
        mask = box(*rng.integers(0, 70, 2), *rng.integers(5, 30, 2))
        results.append(found(mask, round(float(rng.random()), 1), int(rng.choice(labels)), name))
    write(folder, name, ids)
    return results


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.filterwarnings('ignore')  # of the scripts
def test_equals_the_scripts_of_cityscapes(seed, tmp_path, monkeypatch):
    monkeypatch.setattr(np, 'in1d', np.isin, raising=False)  # which they still ask numpy for
    monkeypatch.setattr(sys, 'argv', ['test'])
    name = 'cityscapesscripts.evaluation.evalInstanceLevelSemanticLabeling'
    scripts = pytest.importorskip(name, reason='cityscapesscripts is not installed')
    rng = np.random.default_rng(seed)
    results = []
    for number in range(3):
        results += random_scene(rng, f'town_000000_{number:06}', tmp_path / 'gt')
    predictions = tmp_path / 'predictions'
    predictions.mkdir()
    lists, gts = [], []
    for number in range(3):
        image = f'town_000000_{number:06}'
        lines = []
        for place, result in enumerate(results):
            if result['image_id'] == image:
                mask = mask_utils.decode(result['segmentation'])
                Image.fromarray(255 * mask).save(predictions / f'{image}_{place}.png')
                label, score = result['category_id'], result['score']
                lines.append(f'{image}_{place}.png {label} {score}\n')
        lists.append(str(predictions / f'{image}.txt'))
        (predictions / f'{image}.txt').write_text(''.join(lines))
        gts.append(str(tmp_path / 'gt' / 'town' / f'{image}_gtFine_instanceIds.png'))
    # Their JSON knows no numbers of a new numpy.
    monkeypatch.setattr(scripts, 'writeDict2JSON', lambda *_: None)
    args = scripts.args
    args.quiet, args.JSONOutput, args.predictionPath = True, False, str(predictions)
    args.gtInstancesFile = str(tmp_path / 'gtInstances.json')
    monkeypatch.chdir(tmp_path)
    expected = scripts.evaluateImgLists(lists, gts, args)['averages']
    figures = cityscapes_ap(tmp_path / 'gt', json.loads(json.dumps(results)))['score']
    assert figures['AP'] == pytest.approx(expected['allAp'], abs=1e-9)
    assert figures['AP50'] == pytest.approx(expected['allAp50%'], abs=1e-9)
    for label in CLASSES.values():
        own = expected['classes'][label]['ap']
        assert figures[label] == pytest.approx(own, abs=1e-9, nan_ok=True)
