"""A pairs file holds what AP under any ranking needs."""

import dataclasses
import json

import numpy as np
import pytest

from msrcnn_plugin.evaluation import MaskScoringMetric, MaskScoringPairs, MaskScoringResult
from msrcnn_plugin.evaluation.result import HOST_RANKING

from .coco_sets import evaluated, fields_of, random_set, samples


def written(tmp_path, data, results, **given):
    """The metric's own result, and the pairs that it wrote."""
    annotations = tmp_path / 'annotations.json'
    annotations.write_text(json.dumps(data))
    metric = MaskScoringMetric(str(annotations), pairs_file=tmp_path / 'pairs.npz')
    metric.dataset_meta = {'classes': [category['name'] for category in data['categories']]}
    fields = {**fields_of(results), **given}
    metric.process({}, [sample.to_dict() for sample in samples(data, results, fields)])
    metric.compute_metrics(metric.results)
    return metric.result, MaskScoringPairs.load(tmp_path / 'pairs.npz')


@pytest.mark.parametrize('seed', range(4))
def test_the_file_gives_the_metrics_own_result_again(tmp_path, seed):
    data, results = random_set(seed, images=4)
    own, pairs = written(tmp_path, data, results)
    again = MaskScoringResult.from_pairs(pairs)
    assert list(again.rankings) == list(own.rankings)
    assert again.size_ranges == own.size_ranges
    for name, ranking in own.rankings.items():
        np.testing.assert_allclose(again.rankings[name].precision, ranking.precision, atol=1e-9)


def test_any_other_score_ranks_as_pycocotools_would(tmp_path):
    data, results = random_set(7, images=4)
    _, pairs = written(tmp_path, data, results)
    # in the model's order: image by image
    order = np.argsort([result['image_id'] for result in results], kind='stable')
    scores = np.random.default_rng(1).random(len(results)).round(1)
    of_results = np.empty_like(scores)
    of_results[order] = scores
    expected = evaluated(data, results, of_results).eval['precision']
    np.testing.assert_allclose(pairs.rank(scores).precision, expected, atol=1e-9)


def test_mean_probability_is_kept(tmp_path):
    data, results = random_set(2)
    probabilities = np.random.default_rng(0).random(len(results), dtype=np.float32)
    own, pairs = written(tmp_path, data, results, mask_mean_probs=probabilities)
    again = MaskScoringResult.from_pairs(pairs)
    assert again.rankings['prob'].ap() == pytest.approx(own.rankings['prob'].ap(), nan_ok=True)


def test_the_image_of_each_object_is_kept_and_may_be_missing_in_an_older_file(tmp_path):
    data, results = random_set(5, images=4)
    _, pairs = written(tmp_path, data, results)
    expected = sorted(truth['image_id'] for truth in data['annotations'])
    assert pairs.basis.truth_image.tolist() == expected
    older = dataclasses.replace(pairs.basis, truth_image=None)
    dataclasses.replace(pairs, basis=older).save(tmp_path / 'older.npz')
    again = MaskScoringPairs.load(tmp_path / 'older.npz')
    assert again.basis.truth_image is None
    assert again.rank(again.mask_score).ap() == pairs.rank(pairs.mask_score).ap()


def test_no_detections(tmp_path):
    data, _ = random_set(3, images=4)
    _, pairs = written(tmp_path, data, [])
    assert MaskScoringResult.from_pairs(pairs).rankings[HOST_RANKING].ap() == 0


def test_pairs_without_a_basis_say_how_to_get_one(tmp_path):
    data, results = random_set(3)
    _, pairs = written(tmp_path, data, results)
    dataclasses.replace(pairs, basis=None).save(tmp_path / 'old.npz')
    old = MaskScoringPairs.load(tmp_path / 'old.npz')
    assert old.basis is None
    with pytest.raises(ValueError, match='pairs_file='):
        MaskScoringResult.from_pairs(old)


def test_scores_that_rank_nothing(tmp_path):
    _, pairs = written(tmp_path, *random_set(2))
    for scores in (np.ones(2), np.ones((len(pairs), 1)), np.full(len(pairs), np.nan)):
        with pytest.raises(ValueError, match='a finite score for each detection'):
            pairs.rank(scores)
