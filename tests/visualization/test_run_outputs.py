"""Reading what a test run left, from files written here."""

import json

import cv2
import numpy as np
import pytest
from pycocotools import mask as rle_tools

from msrcnn_plugin.evaluation import MaskScoringPairs
from msrcnn_plugin.visualization import read_gallery, read_scored_images

SIZE = (20, 30)


def rectangle(x1, y1, x2, y2):
    mask = np.zeros(SIZE, np.uint8)
    mask[y1:y2, x1:x2] = 1
    return mask


def rle(mask):
    code = rle_tools.encode(np.asfortranarray(mask))
    return dict(size=code['size'], counts=code['counts'].decode())


def uncompressed(mask):
    flat = mask.ravel(order='F')
    changes = np.flatnonzero(np.diff(np.concatenate([[0], flat, [flat[-1] ^ 1]])))
    return dict(size=list(SIZE), counts=np.diff(np.concatenate([[0], changes])).tolist())


@pytest.fixture
def run(tmp_path):
    """Two images: 7 has a leaf (id 9), a cell (id 2) and a crowd; 8 has nothing."""
    for name, value in (('a.png', 50), ('b.png', 90)):
        pixels = np.full((*SIZE, 3), (value, 0, 0), np.uint8)
        cv2.imwrite(str(tmp_path / name), pixels)
    polygon = [2, 2, 12, 2, 12, 12, 2, 12]
    truths = [
        dict(image_id=7, category_id=9, segmentation=[polygon], iscrowd=0),
        dict(image_id=7, category_id=2, segmentation=uncompressed(rectangle(20, 3, 25, 9))),
        dict(image_id=7, category_id=2, segmentation=rle(rectangle(0, 15, 9, 20)), iscrowd=1),
    ]
    images = [dict(id=7, file_name='a.png'), dict(id=8, file_name='b.png')]
    (tmp_path / 'coco.json').write_text(json.dumps(dict(images=images, annotations=truths)))
    scores, ious = np.array([0.4, 0.9, 0.2, 0.1]), np.array([0.5, 0.8, 0.6, 0.5])
    masks = [rectangle(2, 2, 12, 12), rectangle(20, 3, 25, 8), *[rectangle(0, 0, 3, 3)] * 2]
    results = [
        dict(image_id=image, score=float(s), category_id=c, segmentation=rle(m))
        for image, s, c, m in zip((7, 7, 7, 8), scores * ious, (9, 2, 2, 2), masks)
    ]
    (tmp_path / 'results.segm.json').write_text(json.dumps(results))
    MaskScoringPairs(
        image_id=np.array([7, 7, 7, 8]),
        category_id=np.array([9, 2, 2, 2]),
        box_score=scores,
        mask_score=scores * ious,
        predicted_iou=ious,
        true_iou=np.array([1.0, 0.8, 0.0, 0.0]),
        area=np.ones(4),
        box=np.zeros((4, 4)),
        category_ids=np.array([2, 9]),
        category_names=np.array(['cell', 'leaf']),
    ).save(tmp_path / 'pairs.npz')
    return tmp_path


def read(run, **options):
    return read_scored_images(
        run / 'coco.json', run, run / 'results.segm.json', run / 'pairs.npz', **options
    )


def test_reads_an_image_with_its_detections_by_class_score(run):
    (image,), names = read(run)
    assert names == ['cell', 'leaf']
    assert image.image[0, 0].tolist() == [0, 0, 50]  # RGB
    assert image.scores.tolist() == [0.9, 0.4]
    assert image.labels.tolist() == [0, 1]
    assert image.mask_ious.tolist() == [0.8, 0.5]
    assert image.true_ious.tolist() == [0.8, 1.0]
    assert np.array_equal(image.masks[0], rectangle(20, 3, 25, 8))


def test_ground_truth_is_read_in_every_format_and_without_crowds(run):
    (image,), _ = read(run)
    assert image.truth_labels.tolist() == [1, 0]
    assert np.array_equal(image.truth_masks[0], rectangle(2, 2, 12, 12))
    assert np.array_equal(image.truth_masks[1], rectangle(20, 3, 25, 9))


def test_an_image_with_detections_but_no_truth(run):
    images, _ = read(run, min_score=0.05)
    assert [len(image) for image in images] == [3, 1]
    assert images[1].truth_masks.shape == (0, *SIZE)


def test_at_most_the_given_number_of_detections(run):
    (image,), _ = read(run, max_detections=1)
    assert image.scores.tolist() == [0.9]


def test_no_detection_good_enough_is_no_image(run):
    assert read(run, min_score=0.95) == ([], ['cell', 'leaf'])


def test_files_of_two_runs_are_refused(run):
    (run / 'results.segm.json').write_text('[]')
    with pytest.raises(ValueError, match='not of one test run'):
        read(run)


def test_a_missing_image_is_named(run):
    (run / 'a.png').unlink()
    with pytest.raises(FileNotFoundError, match=r'a\.png'):
        read(run)


def test_a_model_without_mask_ious_is_refused(run):
    pairs = vars(MaskScoringPairs.load(run / 'pairs.npz'))
    MaskScoringPairs(**{**pairs, 'predicted_iou': None}).save(run / 'pairs.npz')
    with pytest.raises(ValueError, match='MaskIoU head'):
        read(run)


# --- the gallery


@pytest.fixture
def complete(run):
    """The same files with all that COCO's evaluation would ask of the annotations."""
    coco = json.loads((run / 'coco.json').read_text())
    for image in coco['images']:
        image.update(height=SIZE[0], width=SIZE[1])
    for place, truth in enumerate(coco['annotations']):
        truth.update(id=place + 1, area=1.0, iscrowd=truth.get('iscrowd', 0))
    coco['categories'] = [dict(id=2, name='cell'), dict(id=9, name='leaf')]
    (run / 'coco.json').write_text(json.dumps(coco))
    return run


def gallery(run, changes=None, **options):
    pairs = MaskScoringPairs(
        **{**vars(MaskScoringPairs.load(run / 'pairs.npz')), **(changes or {})}
    )
    return read_gallery(pairs, run / 'coco.json', run, run / 'results.segm.json', **options)


def test_gallery_shows_what_the_class_score_misjudges(complete):
    found = gallery(complete)
    (leaf,), (cell,) = found.underrated, found.overrated
    assert (leaf.class_name, leaf.class_score, leaf.true_iou) == ('leaf', 0.4, 1.0)
    assert (cell.class_name, cell.class_score, cell.true_iou) == ('cell', 0.9, 0.8)
    assert cell.predicted_iou == 0.8
    assert cell.image_name == 'a.png'
    assert np.array_equal(leaf.mask, leaf.truth)
    assert leaf.image.shape == (*SIZE, 3)  # the crop is no larger than the image
    assert (cell.mask.sum(), cell.truth.sum()) == (25, 30)


def test_gallery_of_a_model_without_mask_ious(complete):
    case = gallery(complete, dict(predicted_iou=None)).overrated[0]
    assert case.predicted_iou is None


def test_gallery_where_a_class_has_no_truth_in_the_image(complete):
    true_iou = np.array([0.2, 0.1, 0.15, 0.1])
    cases = gallery(complete, dict(true_iou=true_iou, category_id=np.array([2, 9, 2, 2]))).overrated
    assert {case.class_name for case in cases} == {'cell', 'leaf'}


@pytest.mark.parametrize(
    ('file', 'content', 'complaint'),
    [
        ('coco.json', '{"images": [', 'no COCO annotation file'),
        ('coco.json', '[]', 'no usable COCO annotation file'),
        ('results.segm.json', '[{"bbox": []}]', 'holds no masks'),
        ('results.segm.json', 'not JSON', 'no file of COCO results'),
        ('results.segm.json', '[]', 'not of one test run'),
        ('a.png', 'no picture', r'a\.png is no readable image'),
    ],
)
def test_gallery_from_files_that_are_not_what_they_should_be(complete, file, content, complaint):
    (complete / file).write_text(content)
    with pytest.raises((ValueError, FileNotFoundError), match=complaint):
        gallery(complete)


def test_gallery_of_another_data_set(complete):
    with pytest.raises(ValueError, match='prediction for image 70'):
        gallery(complete, dict(image_id=np.array([70, 70, 70, 8])))
