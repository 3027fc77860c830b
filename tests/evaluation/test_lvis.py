"""LVIS's rules by hand, and its own evaluator on random sets."""

import logging

import numpy as np
import pytest
from pycocotools import mask as mask_utils

from msrcnn_plugin.evaluation import MaskScoringResult, Matches, evaluate_coco

SIZE = (40, 60)
FIGURES = dict(
    zip(
        ('AP', 'AP50', 'AP75', 'APs', 'APm', 'APl', 'APr', 'APc', 'APf'),
        ('', '_50', '_75', '_s', '_m', '_l', '_r', '_c', '_f'),
    )
)


def rectangle(x, y, width, height):
    mask = np.zeros(SIZE, np.uint8, order='F')
    mask[y : y + height, x : x + width] = 1
    rle = mask_utils.encode(mask)
    return dict(rle, counts=rle['counts'].decode())


def data_set(objects, *, images=1, frequencies='rcf', neg=(), partly=()):
    """Objects (image, category, box); ``neg`` and ``partly`` are (image, category)."""
    return dict(
        images=[
            dict(
                id=i,
                height=SIZE[0],
                width=SIZE[1],
                neg_category_ids=[c for image, c in neg if image == i],
                not_exhaustive_category_ids=[c for image, c in partly if image == i],
            )
            for i in range(1, images + 1)
        ],
        categories=[
            dict(id=i, name=f'c{i}', frequency=name) for i, name in enumerate(frequencies, 1)
        ],
        annotations=[
            dict(
                id=i,
                image_id=image,
                category_id=category,
                segmentation=rectangle(*box),
                bbox=list(box),
                area=float(box[2] * box[3]),
            )
            for i, (image, category, box) in enumerate(objects, 1)
        ],
    )


def results_of(found):
    return [
        dict(image_id=image, category_id=category, segmentation=rectangle(*box), score=score)
        for image, category, box, score in found
    ]


BOX, FAR = (5, 5, 20, 20), (30, 5, 20, 20)


def test_what_was_not_looked_for_is_neither_right_nor_wrong():
    found = results_of([(1, 1, BOX, 0.5), (1, 2, BOX, 0.9), (1, 1, FAR, 0.9)])
    # The second category was not looked for; the third detection is wrong.
    result = evaluate_coco(data_set([(1, 1, BOX)]), found)
    assert result.figures['segm_mAP_cls'] == pytest.approx(0.5)
    assert result.matches.result_index.tolist() == [0, 2]
    # Where not every object is annotated, it may be right.
    partly = evaluate_coco(data_set([(1, 1, BOX)], partly=[(1, 1)]), found)
    assert partly.figures['segm_mAP_cls'] == pytest.approx(1)
    # Where it was looked for and is not there, it is wrong.
    other = data_set([(1, 1, BOX), (2, 2, BOX)], images=2, neg=[(1, 2)])
    figures = evaluate_coco(other, [*found[:2], *results_of([(2, 2, BOX, 0.8)])]).figures
    assert figures['segm_mAP_cls_r'] == pytest.approx(1)
    assert figures['segm_mAP_cls_c'] == pytest.approx(0.5)
    assert np.isnan(figures['segm_mAP_cls_f'])


def test_an_image_has_300_detections():
    found = results_of([(1, 1, FAR, 0.9)] * 300 + [(1, 1, BOX, 0.5)])
    result = evaluate_coco(data_set([(1, 1, BOX)]), found)
    assert len(result.matches) == 300
    assert result.figures['segm_mAP_cls'] == 0
    assert result.figures['segm_AR@300'] == 0


def random_set(seed, images=6, categories=5):
    rng = np.random.default_rng(seed)
    size = lambda: rng.integers(4, 30, 2)  # noqa: E731
    objects, found = [], []
    for image in range(1, images + 1):
        for _ in range(rng.integers(0, 8)):
            category, (w, h) = int(rng.integers(1, categories + 1)), size()
            box = [int(v) for v in (rng.integers(0, 60 - w), rng.integers(0, 40 - h), w, h)]
            objects.append((image, category, box))
            for _ in range(rng.integers(0, 3)):
                moved = [max(0, v + int(rng.integers(-2, 3))) for v in box[:2]] + box[2:]
                found.append((image, category, moved, round(float(rng.random()), 2)))
        for _ in range(rng.integers(0, 8)):
            category, (w, h) = int(rng.integers(1, categories + 1)), size()
            box = [int(v) for v in (rng.integers(0, 60 - w), rng.integers(0, 40 - h), w, h)]
            found.append((image, category, box, round(float(rng.random()), 2)))
    present = {(image, category) for image, category, _ in objects}
    every = [(i, c) for i in range(1, images + 1) for c in range(1, categories + 1)]
    neg = [pair for pair in every if pair not in present and rng.random() < 0.5]
    partly = [pair for pair in every if rng.random() < 0.3]
    truth = data_set(objects, images=images, frequencies='rccff', neg=neg, partly=partly)
    return truth, results_of(found)


@pytest.mark.parametrize('seed', range(6))
def test_equals_lviss_own_evaluation(seed, monkeypatch, tmp_path):
    lvis = pytest.importorskip('lvis', reason='the evaluator of LVIS is not installed')
    monkeypatch.setattr(np, 'float', float, raising=False)  # which it still asks numpy for
    monkeypatch.setattr(logging.Logger, 'warn', logging.Logger.warning, raising=False)
    truth, results = random_set(seed)
    figures = evaluate_coco(truth, results).figures
    api = lvis.LVIS.__new__(lvis.LVIS)
    api.dataset, api.logger = truth, logging.getLogger(__name__)
    api._create_index()
    own = lvis.LVISEval(api, [dict(result) for result in results], 'segm')
    own.run()
    expected = own.get_results()
    for name, suffix in FIGURES.items():
        value = np.nan if expected[name] == -1 else expected[name]
        np.testing.assert_allclose(figures[f'segm_mAP_cls{suffix}'], value, rtol=0, atol=1e-9)
    assert figures['segm_AR@300'] == pytest.approx(expected['AR@300'], abs=1e-9)


def test_a_pairs_file_keeps_the_rules(tmp_path):
    truth, results = random_set(0)
    result = evaluate_coco(truth, results)
    result.save(tmp_path / 'pairs.npz')
    again = MaskScoringResult.from_matches(Matches.load(tmp_path / 'pairs.npz'))
    assert again.figures == pytest.approx(result.figures, nan_ok=True)
    assert again.matches.frequencies == ('r', 'c', 'c', 'f', 'f')


def test_a_pairs_file_written_before_has_no_such_rules(tmp_path):
    truth, results = random_set(0)
    path = tmp_path / 'pairs.npz'
    evaluate_coco(truth, results).save(path)
    with np.load(path) as archive:
        columns = {name: archive[name] for name in archive.files}
    del columns['frequencies'], columns['not_exhaustive']
    np.savez(path, **columns)
    again = Matches.load(path)
    assert again.frequencies == ()
    assert not again.not_exhaustive.any()
    assert len(again.not_exhaustive) == len(again)
