"""Each field of a small set is replaced by junk: the right figures, or one clear refusal.

A replacement that is read must give the figures of a hand-cleaned file; all others are refused.
"""

import contextlib
import copy
import io
import json
import reprlib

import numpy as np
import pytest
from pycocotools import mask as mask_utils
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from msrcnn_plugin.evaluation.coco_files import read_ground_truth, read_results

from .coco_samples import SIZE, SQUARE, small_results, small_truth

MISSING = object()
JUNK = {
    'missing': MISSING,
    'null': None,
    'empty text': '',
    'text': 'abc',
    'digit': '1',
    'huge text': 'x' * 100_000,
    'list': [],
    'nested': [[]],
    'texts': ['a', 'b'],
    'object': {},
    'minus': -1,
    'zero': 0,
    'fraction': 1.5,
    'whole': 1.0,
    'nan': float('nan'),
    'inf': float('inf'),
    'huge': 10**40,
    'true': True,
    'false': False,
    'numbers': [1, 2, 3, 4, 5],
}
# Annotation 1 holds polygons, annotation 2 an RLE.
PLACES = [
    *((section,) for section in ('images', 'annotations', 'categories')),
    *(('images', 0, key) for key in ('id', 'height', 'width', 'file_name')),
    *(('categories', 0, key) for key in ('id', 'name')),
    *(('annotations', 0, key) for key in small_truth()['annotations'][0]),
    *(('annotations', 1, 'segmentation', key) for key in ('size', 'counts')),
    ('annotations', 0, 'segmentation', 0),
    ('annotations', 0, 'segmentation', 0, 1),
    ('annotations', 0, 'bbox', 2),
    ('images', 0),
    ('annotations', 0),
    ('categories', 0),
]
RESULT_PLACES = [
    (0,),
    *((0, key) for key in small_results()[0]),
    *((1, 'segmentation', key) for key in ('size', 'counts')),
    (0, 'segmentation', 0, 1),
]
NAMES = {'text', 'digit', 'huge text'}
# What is read without guessing. A text or number keeps its meaning; where the cleaned file has
# another value, it stands here.
READ = {
    ('annotations',): {'list'},
    ('images', 0, 'file_name'): NAMES | {'missing'},
    ('categories', 0, 'name'): NAMES,
    ('annotations', 0, 'id'): NAMES | {'minus', 'zero', 'whole', 'huge'},
    ('annotations', 0, 'area'): {'zero', 'fraction', 'whole', 'missing'},
    ('annotations', 0, 'bbox'): {'missing'},
    ('annotations', 0, 'bbox', 2): {'zero', 'fraction', 'whole'},
    ('annotations', 0, 'iscrowd'): {'zero', 'true', 'false', 'missing'},
    # A point that moves by a pixel or two is no junk.
    ('annotations', 0, 'segmentation', 0, 1): {'minus', 'zero', 'fraction', 'whole'},
    (0, 'segmentation', 0, 1): {'minus', 'zero', 'fraction', 'whole'},
    (0, 'score'): {'minus', 'zero', 'fraction', 'whole', 'huge'},
    (0, 'mask_score'): {'minus', 'zero', 'fraction', 'whole', 'huge'},
}
CLEANED = {
    (('annotations', 0, 'id'), None): 1,
    (('annotations', 0, 'area'), 'missing'): 100.0,
    (('annotations', 0, 'bbox'), 'missing'): [2, 2, 10, 10],
    (('annotations', 0, 'iscrowd'), 'missing'): 0,
    (('annotations', 0, 'iscrowd'), 'true'): 1,
    (('annotations', 0, 'iscrowd'), 'false'): 0,
}


def figures(truth, found):
    """pycocotools' twelve figures."""
    with contextlib.redirect_stdout(io.StringIO()):
        apis = []
        for dataset in (truth, found):
            api = COCO()
            api.dataset = copy.deepcopy(dataset)
            api.createIndex()
            apis.append(api)
        evaluation = COCOeval(*apis, 'segm')
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


def reference(truth, results):
    """The figures of cleaned content, by pycocotools' own reading."""
    results = copy.deepcopy(results)
    for result in results:
        if isinstance(result['segmentation'], list):
            polygons = mask_utils.frPyObjects(result['segmentation'], *SIZE)
            result['segmentation'] = mask_utils.merge(polygons)
    with contextlib.redirect_stdout(io.StringIO()):
        api = COCO()
        api.dataset = copy.deepcopy(truth)
        api.createIndex()
        return figures(truth, api.loadRes(results).dataset)


def as_read(truth, results, folder):
    paths = folder / 'truth.json', folder / 'results.json'
    for path, content in zip(paths, (truth, results)):
        path.write_text(json.dumps(content))
    read = read_ground_truth(paths[0])
    return figures(read.dataset, read_results(paths[1], read).dataset)


def replaced(content, place, junk):
    content = copy.deepcopy(content)
    *above, last = place
    holder = content
    for key in above:
        holder = holder[key]
    if junk is MISSING:
        del holder[last]
    else:
        holder[last] = copy.deepcopy(junk)
    return content


def test_the_clean_set_is_read_as_by_pycocotools(tmp_path):
    expected = reference(small_truth(), small_results())
    assert expected[0] > 0.9
    np.testing.assert_array_equal(as_read(small_truth(), small_results(), tmp_path), expected)


@pytest.mark.parametrize('place', PLACES + RESULT_PLACES, ids=str)
def test_junk_is_read_right_or_refused(place, tmp_path):
    is_result = place in RESULT_PLACES
    for name, junk in JUNK.items():
        if junk is MISSING and isinstance(place[-1], int):
            continue  # one entry less is another good list
        truth, results = small_truth(), small_results()
        original = results if is_result else truth
        changed = replaced(original, place, junk)
        pair = (truth, changed) if is_result else (changed, results)
        if name in READ.get(place, ()):
            value = CLEANED.get((place, name), CLEANED.get((place, None), junk))
            cleaned = replaced(original, place, value)
            clean_pair = (truth, cleaned) if is_result else (cleaned, results)
            np.testing.assert_array_equal(as_read(*pair, tmp_path), reference(*clean_pair), name)
            continue
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            as_read(*pair, tmp_path)
        assert type(caught.value) is ValueError, name
        assert_clear(str(caught.value), place, junk, tmp_path)


def assert_clear(message, place, junk, folder):
    """File, field and value are named, within a few lines."""
    assert message.startswith(str(folder))
    assert len(message) < 2000
    keys = [key for key in place if isinstance(key, str)]
    field = keys[-1] if keys else ''
    if field == 'id' and '_id` is 1, which is not among' in message:
        return  # a good id of its own, but the references to 1 now lead nowhere
    if place[:2] == ('images', 0) and len(place) == 2:
        field = ''
    assert field in message
    texts = ['missing'] if junk is MISSING or junk == {} else []
    if place[-2:] == ('segmentation', 0):
        texts.append('is [[')  # the whole polygon
    for value in (junk, *(junk if isinstance(junk, list) else ())):
        texts.append(f'is {repr(value)[:10] if isinstance(value, str) else reprlib.repr(value)}')
        texts += [f'{len(value)} entries'] if isinstance(value, list) else []
    assert any(
        text in message
        for text in [*texts, 'among the 0 ids', 'is given by', f'holds {texts[-1][3:]}']
    )


GOOD_PART, ANGLE = SQUARE[0], [1, 1, 2, 2]


@pytest.mark.parametrize('is_result', [False, True])
@pytest.mark.parametrize('parts', [[ANGLE, GOOD_PART], [GOOD_PART, ANGLE, []]])
def test_stray_part_beside_a_polygon_is_left_out(parts, is_result, tmp_path):
    truth, results = small_truth(), small_results()
    expected = reference(truth, results)
    (results if is_result else truth['annotations'])[0]['segmentation'] = parts
    np.testing.assert_array_equal(as_read(truth, results, tmp_path), expected)


@pytest.mark.parametrize(
    ('parts', 'text'),
    [
        ([ANGLE], 'three points'),
        ([[*GOOD_PART, 1]], 'pairs of x and y'),
        ([[100, 2, 110, 2, 110, 12]], 'touches the image'),
        ([[-9, 2, -3, 2, -3, 12]], 'touches the image'),
        ([[2, 2, 12, 2, float('nan'), 12]], 'is nan'),
    ],
)
def test_polygons_that_are_refused(parts, text, tmp_path):
    truth = small_truth()
    truth['annotations'][0]['segmentation'] = parts
    with pytest.raises(ValueError, match=text):
        as_read(truth, small_results(), tmp_path)


@pytest.mark.parametrize('section', ['images', 'annotations', 'categories'])
def test_repeated_entries(section, tmp_path):
    truth = small_truth()
    truth[section].append(copy.deepcopy(truth[section][0]))
    with pytest.raises(ValueError, match=rf'{section}\[2\] \(id 1\): `id` is 1, and'):
        as_read(truth, small_results(), tmp_path)


@pytest.mark.parametrize(
    'name_of',
    [str, lambda n: 2**127 + n, lambda n: float(n), lambda n: f'{n:08}-uuid', lambda n: -n],
)
def test_any_consistent_ids_give_the_same_figures(name_of, tmp_path):
    truth, results = small_truth(), small_results()
    expected = reference(truth, results)
    for entry in [*truth['images'], *truth['annotations'], *truth['categories'], *results]:
        for key in {'id', 'image_id', 'category_id'} & set(entry):
            entry[key] = name_of(entry[key])
    np.testing.assert_array_equal(as_read(truth, results, tmp_path), expected)
