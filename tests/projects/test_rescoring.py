"""The study of what rescoring gains, on a set of which everything is known."""

import json

import pytest
import torch

from msrcnn_plugin.evaluation import evaluate_coco
from projects.ablations import tables
from projects.rescoring import study
from projects.rescoring.cached_results import cached_results, scored_results

from ..evaluation.rescoring_sets import scattered_set


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setattr(study, 'IMAGES', (25,))
    monkeypatch.setattr(study, 'GROUPS', {'shape': ['log_mask_area', 'log_relative_area']})
    paths = []
    for split, first in (('fit', 1), ('test', 100)):
        contents = scattered_set(first, first=first)
        paths.append([str(tmp_path / f'{split}_{kind}.json') for kind in ('gt', 'dt')])
        for path, content in zip(paths[-1], contents):
            (tmp_path / path).write_text(json.dumps(content))
    return paths


def test_records_of_new_images(files, tmp_path):
    records = study.study('boxes', *files, resamples=50)
    assert [record['run'] for record in records] == ['all', 'without_0', 'images_25', 'nms']
    for record in records:
        gain = record['figures']['ap'] - record['figures']['ap_before']
        assert record['gain']['gain'] == pytest.approx(gain)
    assert records[0]['gain']['low'] > 0.1
    assert '| 25 images |' in tables.markdown(tables.Table('', tables.RESCORED), records)
    study.draw(records, tmp_path / 'gain.png')
    assert (tmp_path / 'gain.png').stat().st_size > 1000


def test_records_of_images_held_out(files):
    records = study.study('boxes', files[0], None, resamples=50)
    assert [record['run'] for record in records] == ['all', 'without_0', 'nms']
    assert records[0]['gain']['gain'] == pytest.approx(records[0]['cross_validation']['gain'])


def test_results_of_a_cache_and_of_a_test(tmp_path):
    mask = dict(size=[4, 4], counts='04L')
    image = dict(
        image_id=7, masks=[mask], labels=torch.tensor([1]), scores=torch.tensor([0.5]), other=None
    )
    torch.save([image], tmp_path / '00000.pt')
    (found,) = cached_results(tmp_path, [3, 9])
    assert found == dict(image_id=7, category_id=9, segmentation=mask, score=0.5)
    truth, results = scattered_set(0, images=3)
    scores = [dict(each, mask_iou=i / 100, mask_score=i / 200) for i, each in enumerate(results)]
    evaluate_coco(truth, scores).save(tmp_path / 'pairs.npz')
    assert scored_results(tmp_path / 'pairs.npz', results) == scores
