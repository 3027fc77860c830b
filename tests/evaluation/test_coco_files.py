"""COCO files as real tools write them, read and refused."""

import gzip
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as mask_utils

from msrcnn_plugin.evaluation.coco_files import read_ground_truth, read_results
from msrcnn_plugin.evaluation.coco_masks import check_runs
from msrcnn_plugin.evaluation.image_files import check_images

from .coco_samples import SIZE, SQUARE, small_results, small_truth

BIG_ID = 2**127 + 1


def refusal(read, *arguments, **named):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        read(*arguments, **named)
    return str(caught.value)


def test_numbers_replace_ids_in_sorted_order():
    data = small_truth()
    for image, identity in zip(data['images'], (BIG_ID, '6f1c-uuid')):
        image['id'] = identity
    data['images'].append({'id': -7.0, 'height': 30, 'width': 40})
    data['annotations'][0].update(image_id=BIG_ID, id='x')
    data['annotations'][1].update(image_id='6f1c-uuid', id=BIG_ID)
    read = read_ground_truth(data)
    assert read.image_ids == [-7.0, BIG_ID, '6f1c-uuid']
    assert read.annotation_ids == ['x', BIG_ID]
    assert [image['id'] for image in read.dataset['images']] == [1, 2, 3]
    assert [found['image_id'] for found in read.dataset['annotations']] == [2, 3]


@pytest.mark.parametrize(
    ('section', 'first', 'second'),
    [('images', 1, '1'), ('images', 1.0, 1), ('annotations', '3', 3)],
)
def test_ids_that_some_readers_take_for_one(section, first, second):
    data = small_truth()
    data[section][0]['id'], data[section][1]['id'] = first, second
    assert f'`id` is {second!r}, and {section}[0] (id {first!r})' in refusal(
        read_ground_truth, data
    )


def test_reference_that_matches_by_conversion_only():
    data = small_truth()
    data['annotations'][0]['image_id'] = '1'
    message = refusal(read_ground_truth, data)
    assert message == (
        "the ground truth: annotations[0] (id 1): `image_id` is '1', "
        'but the listed id is 1: write both as one type'
    )


def test_missing_area_and_box_are_those_of_the_mask():
    data = small_truth()
    for annotation in data['annotations']:
        for key in ('area', 'bbox', 'iscrowd'):
            del annotation[key]
    found = read_ground_truth(data).dataset['annotations']
    assert [(item['area'], item['bbox'], item['iscrowd']) for item in found] == [
        (100.0, [2.0, 2.0, 10.0, 10.0], 0),
        (400.0, [10.0, 5.0, 20.0, 20.0], 0),
    ]
    assert '`area` is missing' in refusal(read_ground_truth, data, required=('area',))


def test_lvis_lists_follow_the_category_numbers():
    data = small_truth()
    data['categories'][0]['id'] = data['annotations'][0]['category_id'] = 70
    data['images'][0]['neg_category_ids'] = [70, 2]
    assert read_ground_truth(data).dataset['images'][0]['neg_category_ids'] == [2, 1]
    data['images'][0]['neg_category_ids'] = [1]
    assert 'images[0] (id 1): `neg_category_ids[0]` is 1' in refusal(read_ground_truth, data)


def test_first_five_problems_and_their_count():
    data = small_truth()
    bad = data['annotations'][0]
    data['annotations'] = [{**bad, 'id': number, 'area': -1} for number in range(7)]
    lines = refusal(read_ground_truth, data).splitlines()
    assert lines[0] == 'the ground truth: 7 problems, the first 5:'
    assert len(lines) == 6
    assert lines[1].startswith('  annotations[0] (id 0): `area` is -1, expected a number of pixels')


def test_names_that_cannot_be_told_apart():
    data = small_truth()
    data['categories'] += [{'id': 0, 'name': 'cat'}]
    message = refusal(read_ground_truth, data)
    assert "`name` is 'cat', and categories[0] (id 1) has 'cat'" in message
    assert 'Roboflow' in message
    data = small_truth()
    data['images'][1]['file_name'] = 'a.jpg'
    assert '`file_name`' in refusal(read_ground_truth, data)


def test_file_name_is_needed_where_images_are_read():
    data = small_truth()
    del data['images'][1]['file_name']
    assert read_ground_truth(data).image_ids == [1, 2]
    message = refusal(read_ground_truth, data, required=('file_name',))
    assert 'images[1] (id 2): `file_name` is missing' in message


GOOD = json.dumps(small_truth()).encode()
BAD_FILES = {
    'is empty': b' \n',
    'gzip': gzip.compress(GOOD),
    'zip archive': b'PK\x03\x04',
    'byte order mark': b'\xef\xbb\xbf' + GOOD,
    'no UTF-8': b'\xff\xfe{\x00',
    'may be truncated': GOOD[:-20],
    'may be a file of results': b'[]',
    'holds 5': b'5',
    'is no JSON': b'[' * 100_000,
    '`images` is missing': b'{}',
    '`categories` is None': b'{"images": [], "annotations": [], "categories": null}',
}


@pytest.mark.parametrize('expected', BAD_FILES)
def test_files_that_are_no_ground_truth(expected, tmp_path):
    path = tmp_path / 'truth.json'
    path.write_bytes(BAD_FILES[expected])
    message = refusal(read_ground_truth, path)
    assert message.startswith(f'{path}: ')
    assert expected in message


def test_file_is_read_as_its_content(tmp_path):
    path = tmp_path / 'truth.json'
    path.write_bytes(GOOD.replace(b'{"images"', b'{"info": {"note": NaN}, "images"'))
    assert read_ground_truth(path).dataset == read_ground_truth(small_truth()).dataset


def test_results_in_every_form_of_mask():
    truth = read_ground_truth(small_truth())
    results = small_results()
    expected = read_results(results, truth).dataset['annotations']
    square = mask_utils.merge(mask_utils.frPyObjects(SQUARE, *SIZE))
    results[0]['segmentation'] = square
    results[0]['score'] = np.float32(0.5)
    flat = mask_utils.decode(square).ravel(order='F')
    runs = np.diff(np.flatnonzero(np.diff(flat, prepend=-1)), append=flat.size)
    results[2]['segmentation'] = {'size': [30, 40], 'counts': runs.tolist()}
    read = read_results(results, truth)
    assert read.dataset['annotations'] == expected
    assert read.scores['mask_score'].tolist() == [0.25, 0.375, 0.125]
    assert expected[0]['area'] == 100
    assert set(read.scores) == {'score', 'mask_score'}


def test_more_results_than_pycocotools_takes_at_once():
    results = small_results() * 100
    found = read_results(results, read_ground_truth(small_truth())).dataset['annotations']
    assert [(item['area'], item['bbox'][2]) for item in found] == [
        (100, 10),
        (400, 20),
        (100, 10),
    ] * 100


def test_nothing_detected():
    read = read_results([], read_ground_truth(small_truth()))
    assert read.dataset['annotations'] == []
    assert read.scores['score'].shape == (0,)


def test_scores_by_name():
    truth, results = read_ground_truth(small_truth()), small_results()
    message = refusal(read_results, results, truth, scores=('quality',))
    assert '`quality` is given by 0 of 3 results' in message
    del results[1]['mask_score']
    assert '`mask_score` is given by 2 of 3 results' in refusal(read_results, results, truth)
    results = [{**result, 'quality': 2} for result in small_results()]
    assert read_results(results, truth, scores=['quality']).scores['quality'].tolist() == [2, 2, 2]
    assert 'are no scores' in refusal(read_results, results, truth, scores=['segmentation'])


def test_ground_truth_given_as_results():
    truth = read_ground_truth(small_truth())
    assert 'This is a file of ground truth' in refusal(read_results, small_truth(), truth)


def test_results_without_masks():
    truth, results = read_ground_truth(small_truth()), small_results()
    results[0]['bbox'] = [0, 0, 3, 3]
    del results[0]['segmentation']
    message = refusal(read_results, results, truth)
    assert '[0] (image_id 1): `segmentation` is missing' in message
    assert 'boxes alone are no masks' in message


def test_results_of_another_data_set_or_size():
    truth, results = read_ground_truth(small_truth()), small_results()
    results[0]['image_id'] = 9
    assert '[0] (image_id 9): `image_id` is 9, which is not among' in refusal(
        read_results, results, truth
    )
    results = small_results()
    results[1]['segmentation']['size'] = [40, 30]
    message = refusal(read_results, results, truth)
    assert "[1] (image_id 2): `segmentation.size` is [40, 30], expected the image's" in message


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12), st.randoms()), min_size=1))
def test_runs_of_random_masks(masks):
    counts, pixels = [], []
    for height, width, random in masks:
        mask = [[random.random() < 0.5 for _ in range(width)] for _ in range(height)]
        rle = mask_utils.encode(np.asfortranarray(np.array(mask, np.uint8)))
        counts.append(rle['counts'].decode())
        pixels.append(height * width)
    valid, zero_runs = check_runs(counts, np.array(pixels))
    assert valid.all()
    assert not zero_runs.any()
    assert not check_runs(counts, np.array(pixels) + 1)[0].any()


@pytest.mark.parametrize('counts', ['abc', '\x00', 'é', 'P', 'ooooooooo0', '😀'])
def test_broken_runs_spoil_no_neighbour(counts):
    valid, _ = check_runs(['5', counts, '5'], np.array([5, 5, 5]))
    assert valid.tolist() == [True, False, True]


def test_empty_run_inside_a_mask_is_merged():
    data = small_truth()
    data['annotations'][1]['segmentation'] = {'size': [30, 40], 'counts': [5, 3, 0, 2, 1190]}
    rle = read_ground_truth(data).dataset['annotations'][1]['segmentation']
    assert (
        rle['counts']
        == mask_utils.frPyObjects({'size': [30, 40], 'counts': [5, 5, 1190]}, *SIZE)[
            'counts'
        ].decode()
    )


def test_images_are_checked_by_their_headers(tmp_path):
    data = small_truth()
    names = ['good.jpg', 'turned.jpg', 'shown.jpg', 'other.png', 'empty.jpg', 'lost.jpg']
    data['images'] = [
        {'id': number, 'height': 30, 'width': 40, 'file_name': name}
        for number, name in enumerate(names, 1)
    ]
    truth = read_ground_truth(data, required=('file_name',))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new('RGB', (40, 30)).save(tmp_path / 'good.jpg')
    Image.new('RGB', (40, 30)).save(tmp_path / 'turned.jpg', exif=exif)
    Image.new('RGB', (30, 40)).save(tmp_path / 'shown.jpg', exif=exif)
    Image.new('RGB', (40, 31)).save(tmp_path / 'other.png')
    (tmp_path / 'empty.jpg').touch()
    lines = refusal(check_images, truth, tmp_path).splitlines()
    assert '4 problems, the first 4' in lines[0]
    assert 'turned.jpg is 30 x 40 pixels once its EXIF orientation 6 is applied' in lines[1]
    assert 'other.png is 40 x 31 pixels, but its annotations are those of 40 x 30' in lines[2]
    assert 'empty.jpg cannot be read as an image' in lines[3]
    assert 'lost.jpg is missing' in lines[4]
