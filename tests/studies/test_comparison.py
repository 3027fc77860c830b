"""What other scores of the same masks are worth, by hand; and nothing said of other masks."""

import dataclasses
from unittest.mock import Mock

import numpy as np
import pytest

from msrcnn_plugin.studies import comparison, read_study, with_differences
from msrcnn_plugin.studies.comparison import same_masks

from ..evaluation.coco_sets import data_set, pairs_of, two_masks_one_object
from ..tiny_study import write_study

RIGHT, WRONG = [0.1, 0.9], [0.9, 0.1]


def scored(scores, pairs=None):
    return dataclasses.replace(pairs or two_masks_one_object(), mask_score=np.array(scores))


@pytest.fixture
def differences(tmp_path, monkeypatch):
    """Of runs whose pairs are these, by name and seed."""

    def differences(pairs, compare_with):
        seeds = sorted({seed for _, seed in pairs})
        names = dict.fromkeys(name for name, _ in pairs)
        path = write_study(
            tmp_path, seeds=seeds, runs=dict.fromkeys(names, 'plugin.py'), compare_with=compare_with
        )

        def kept_test(run):
            found = Mock()
            found.load().result.pairs = pairs[run.name, run.seed]
            return found

        monkeypatch.setattr(comparison, 'kept_test', kept_test)
        records = [dict(run=name, seed=seed) for name, seed in pairs]
        found = with_differences(read_study(path, tmp_path / 'work'), records)
        assert [(record['run'], record['seed']) for record in found] == list(pairs)
        return [record.get('difference') for record in found]

    return differences


def test_each_is_compared_with_the_one_of_its_seed(differences):
    pairs = {
        ('wrong', 0): scored(WRONG),
        ('right', 0): scored(RIGHT),
        ('wrong', 1): scored(WRONG),
        ('right', 1): scored(WRONG),
    }
    nothing, gain, _, same = differences(pairs, 'wrong')
    assert nothing == {}
    # Above IoU 0.6 the poor mask halves the precision: 7 of 10 thresholds at 0.5.
    assert gain == pytest.approx(dict(run='wrong', gain=0.35, low=0.35, high=0.35, images=1))
    assert same == dict(run='wrong', gain=0, low=0, high=0, images=1)


def test_of_other_masks_nothing_is_said(differences):
    other = scored([0.1, 0.2, 0.8, 0.9], two_masks_one_object(images=(1, 2)))
    assert differences({('a', 0): scored(RIGHT), ('b', 0): other}, 'a') == [{}, {}]


def test_a_study_that_compares_with_none_stays_as_it_is(differences):
    assert differences({('a', 0): scored(RIGHT), ('b', 0): scored(WRONG)}, None) == [None, None]


def test_what_is_undefined_is_null(differences):
    empty = pairs_of(data_set(), [])
    _, found = differences({('a', 0): empty, ('b', 0): empty}, 'a')
    assert found == dict(run='a', gain=None, low=None, high=None, images=0)


@pytest.mark.parametrize('name', ['image_id', 'category_id', 'box', 'area', 'true_iou'])
def test_masks_are_the_same_by_all_that_pairs_know_of_them(name):
    pairs = two_masks_one_object()
    assert same_masks(pairs, scored(RIGHT))
    other = dataclasses.replace(pairs, **{name: getattr(pairs, name) + 1})
    assert not same_masks(pairs, other)
