import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msrcnn_plugin.visualization import ScoredImage, most_improved
from msrcnn_plugin.visualization.scored_image import misorder

unit = st.floats(0, 1, width=16)


def scored(scores, mask_scores, unique=None, true=None, size=(6, 8)):
    count = len(scores)
    unique = np.zeros(count) if unique is None else np.array(unique, float)
    return ScoredImage(
        image=np.zeros((*size, 3), np.uint8),
        masks=np.zeros((count, *size), bool),
        labels=np.arange(count),
        scores=np.array(scores, float),
        mask_ious=np.full(count, 0.5),
        mask_scores=np.array(mask_scores, float),
        true_ious=unique if true is None else np.array(true, float),
        unique_ious=unique,
        gt_masks=np.zeros((0, *size), bool),
        gt_labels=np.zeros(0, int),
    )


def test_duplicates_are_good_masks_that_are_not_the_best():
    image = scored([0.9] * 4, [0.5] * 4, unique=[0.9, 0, 0, 0.6], true=[0.9, 0.8, 0.2, 0.6])
    assert image.duplicates.tolist() == [False, True, False, False]


def test_best_keeps_the_highest_class_scores_in_order():
    best = scored([0.2, 0.9, 0.5, 0.4], [0, 0.1, 0.2, 0.3]).best(3, min_score=0.45)
    assert best.scores.tolist() == [0.9, 0.5]
    assert best.mask_scores.tolist() == [0.1, 0.2]
    assert best.labels.tolist() == [1, 2]
    assert len(best.masks) == 2


def test_best_of_no_detections_is_empty():
    assert len(scored([], []).best(3)) == 0


@pytest.mark.parametrize(
    ('scores', 'unique', 'wrong'),
    [
        ([], [], 0),
        ([0.9], [0.1], 0),
        ([0.9, 0.8, 0.7], [0.9, 0.5, 0.1], 0),
        ([0.9, 0.8, 0.7], [0.5, 0.75, 0.25], 0.25),
        ([0.7, 0.8, 0.9], [0.5, 0.75, 0], 0.5 + 0.75),
        ([0.5, 0.5], [0.25, 0.75], 0.25),  # a tie is half wrong
    ],
)
def test_misorder_by_hand(scores, unique, wrong):
    assert misorder(np.array(scores), np.array(unique)) == pytest.approx(wrong)


@given(st.lists(st.tuples(unit, unit), max_size=8))
def test_misorder_against_all_pairs(pairs):
    wrong = sum(
        (u - v) * (0.5 if s == t else 1.0) for s, u in pairs for t, v in pairs if u > v and s <= t
    )
    scores, unique = np.array(pairs).reshape(-1, 2).T
    assert misorder(scores, unique) == pytest.approx(wrong)


def test_most_improved_are_those_whose_order_gains_most():
    same = scored([0.9, 0.5], [0.9, 0.5], unique=[0.1, 0.9])
    improved = scored([0.9, 0.8], [0.1, 0.9], unique=[0.1, 0.9])
    a_little = scored([0.9, 0.8], [0.7, 0.9], unique=[0.6, 0.7])
    worse = scored([0.9, 0.8], [0.7, 0.9], unique=[0.8, 0.7])
    assert most_improved([same, worse, a_little, improved], 4) == [improved, a_little, same, worse]
    assert most_improved([], 2) == []


def test_lengths_that_differ_are_refused():
    with pytest.raises(ValueError, match='same length'):
        scored([0.5, 0.4], [0.5])


def test_masks_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r'\(6, 8\)'):
        ScoredImage(**{**vars(scored([0.5], [0.5])), 'masks': np.zeros((1, 3, 4), bool)})
