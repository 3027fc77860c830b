"""Reading images and masks of a test, from files written here."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as rle_tools

from msrcnn_plugin.evaluation import Matches, evaluate_coco
from msrcnn_plugin.visualization import read_gallery, read_scored_images
from msrcnn_plugin.visualization.run_outputs import read_image

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


@pytest.fixture(params=[int, str, lambda i: 2**127 + i], ids=['int', 'str', '128 bits'])
def run(tmp_path, request):
    """Two images: 7 has a leaf (id 9), a cell (id 2) and a crowd; 8 has nothing."""
    first, second = map(request.param, (7, 8))
    for name, value in (('a.png', 50), ('b.png', 90)):
        Image.fromarray(np.full((*SIZE, 3), (0, 0, value), np.uint8)).save(tmp_path / name)
    polygon = [2, 2, 12, 2, 12, 12, 2, 12]
    gts = [
        dict(category_id=9, segmentation=[polygon], iscrowd=0),
        dict(category_id=2, segmentation=uncompressed(rectangle(20, 3, 25, 9)), iscrowd=0),
        dict(category_id=2, segmentation=rle(rectangle(0, 15, 9, 20)), iscrowd=1),
    ]
    for place, gt in enumerate(gts):
        gt.update(image_id=first, id=place + 1, area=50.0)
    size = dict(height=SIZE[0], width=SIZE[1])
    coco = dict(
        images=[
            dict(id=first, file_name='a.png', **size),
            dict(id=second, file_name='b.png', **size),
        ],
        annotations=gts,
        categories=[dict(id=2, name='cell'), dict(id=9, name='leaf')],
    )
    (tmp_path / 'coco.json').write_text(json.dumps(coco))
    masks = [rectangle(2, 2, 12, 12), rectangle(20, 3, 25, 8), *[rectangle(0, 0, 3, 3)] * 2]
    results = [
        dict(image_id=i, score=s, mask_iou=m, mask_score=s * m, category_id=c, segmentation=rle(k))
        for i, s, m, c, k in zip(
            (first, first, first, second), (0.4, 0.9, 0.2, 0.1), (0.5, 0.8, 0.6, 0.5),
            (9, 2, 2, 2), masks,
        )
    ]  # fmt: skip
    (tmp_path / 'results.json').write_text(json.dumps(results))
    evaluate_coco(coco, results).save(tmp_path / 'matches.npz')
    return tmp_path


def read(run, **options):
    files = run / 'coco.json', run, run / 'results.json', run / 'matches.npz'
    return read_scored_images(*files, **options)


def gallery(run, *left_out):
    matches = Matches.load(run / 'matches.npz')
    scores = {name: values for name, values in matches.scores.items() if name not in left_out}
    return read_gallery(
        replace(matches, scores=scores), run / 'coco.json', run, run / 'results.json'
    )


def test_reads_an_image_with_its_detections_by_class_score(run):
    (image,), names = read(run)
    assert names == ['cell', 'leaf']
    assert image.image[0, 0].tolist() == [0, 0, 50]  # RGB
    assert image.scores.tolist() == [0.9, 0.4]
    assert image.labels.tolist() == [0, 1]
    assert image.mask_ious.tolist() == [0.8, 0.5]
    assert image.mask_scores == pytest.approx([0.72, 0.2])
    assert image.unique_ious == pytest.approx([25 / 30, 1])
    assert image.true_ious == pytest.approx([25 / 30, 1])
    assert np.array_equal(image.masks[0], rectangle(20, 3, 25, 8))


def test_ground_truth_is_read_in_every_format_and_without_crowds(run):
    (image,), _ = read(run)
    assert image.gt_labels.tolist() == [1, 0]
    assert np.array_equal(image.gt_masks[0], rectangle(2, 2, 12, 12))
    assert np.array_equal(image.gt_masks[1], rectangle(20, 3, 25, 9))


def test_how_many_images_and_detections(run):
    images, _ = read(run, min_score=0.05)
    assert [len(image) for image in images] == [3, 1]
    assert images[1].gt_masks.shape == (0, *SIZE)
    assert read(run, max_detections=1)[0][0].scores.tolist() == [0.9]
    assert read(run, min_score=0.95) == ([], ['cell', 'leaf'])


def test_a_model_without_mask_ious_has_a_gallery_and_no_scored_images(run):
    assert gallery(run, 'mask_iou').overrated[0].predicted_iou is None
    matches = Matches.load(run / 'matches.npz')
    with pytest.raises(ValueError, match='MaskIoU head'):
        read_scored_images(
            run / 'coco.json', run, run / 'results.json',
            replace(matches, scores={'score': matches.scores['score']}),
        )  # fmt: skip


def test_gallery_shows_what_the_class_score_misjudges(run):
    found = gallery(run)
    (leaf,), (cell,) = found.underrated, found.overrated
    assert (leaf.class_name, leaf.class_score, leaf.true_iou) == ('leaf', 0.4, 1.0)
    assert (cell.class_name, cell.class_score) == ('cell', 0.9)
    assert cell.predicted_iou == 0.8
    assert cell.image_name == 'a.png'
    assert np.array_equal(leaf.mask, leaf.gt_mask)
    assert leaf.image.shape == (*SIZE, 3)  # the crop is no larger than the image
    assert (cell.mask.sum(), cell.gt_mask.sum()) == (25, 30)


@pytest.mark.parametrize('run', [int], indirect=True)
@pytest.mark.parametrize(
    ('file', 'content', 'complaint'),
    [
        ('results.json', '[]', 'not of one test'),
        ('a.png', 'no picture', r'a\.png is no readable image'),
    ],
)
def test_files_that_are_not_what_they_should_be(run, file, content, complaint):
    (run / file).write_text(content)
    with pytest.raises((ValueError, FileNotFoundError), match=complaint):
        gallery(run)


@pytest.mark.parametrize('run', [int], indirect=True)
def test_an_image_of_another_size(run):
    Image.new('RGB', (9, 9)).save(run / 'a.png')
    with pytest.raises(ValueError, match=r'image 7: a mask is \(20, 30\).*EXIF'):
        gallery(run)


def test_deep_and_grey_images_are_read_as_rgb(tmp_path):
    Image.fromarray(np.array([[0, 60000]], np.uint16)).save(tmp_path / 'deep.png')
    Image.fromarray(np.array([[0, 200]], np.uint8)).save(tmp_path / 'grey.png')
    assert read_image(tmp_path / 'deep.png').tolist() == [[[0, 0, 0], [255, 255, 255]]]
    assert read_image(tmp_path / 'grey.png').tolist() == [[[0, 0, 0], [200, 200, 200]]]


def test_a_gallery_of_results_of_which_lvis_judges_some(run):
    coco = json.loads((run / 'coco.json').read_text())
    for image in coco['images']:
        image.update(neg_category_ids=[], not_exhaustive_category_ids=[])
    for category in coco['categories']:
        category['frequency'] = 'f'
    coco['annotations'] = [gt for gt in coco['annotations'] if not gt['iscrowd']]
    (run / 'coco.json').write_text(json.dumps(coco))
    results = json.loads((run / 'results.json').read_text())
    evaluate_coco(coco, results).save(run / 'matches.npz')
    assert len(Matches.load(run / 'matches.npz')) == len(results) - 1  # nobody looked in image 8
    assert gallery(run).overrated
    assert len(read(run)[0]) == 1
