import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msrcnn_plugin.visualization import ScoredImage, largest_reversal, most_telling

unit = st.floats(0, 1, width=16)


def scored(scores, mask_ious, size=(6, 8)):
    count = len(scores)
    return ScoredImage(
        image=np.zeros((*size, 3), np.uint8),
        masks=np.zeros((count, *size), bool),
        labels=np.arange(count),
        scores=np.array(scores, float),
        mask_ious=np.array(mask_ious, float),
        true_ious=np.zeros(count),
        gt_masks=np.zeros((0, *size), bool),
        gt_labels=np.zeros(0, int),
    )


def test_mask_score_is_the_product():
    assert scored([0.5, 0.8], [0.5, 1.0]).mask_scores.tolist() == [0.25, 0.8]


def test_best_keeps_the_highest_class_scores_in_order():
    best = scored([0.2, 0.9, 0.5, 0.4], [0, 0.1, 0.2, 0.3]).best(3, min_score=0.45)
    assert best.scores.tolist() == [0.9, 0.5]
    assert best.mask_ious.tolist() == [0.1, 0.2]
    assert best.labels.tolist() == [1, 2]
    assert len(best.masks) == 2


def test_best_of_no_detections_is_empty():
    assert len(scored([], []).best(3)) == 0


@pytest.mark.parametrize(
    ('scores', 'mask_scores', 'reversal'),
    [
        ([], [], 0),
        ([0.9], [0.1], 0),
        ([0.9, 0.8, 0.7], [0.9, 0.5, 0.1], 0),  # one order
        ([0.9, 0.8, 0.7], [0.5, 0.7, 0.2], 0.2),
        ([0.7, 0.8, 0.9], [0.6, 0.7, 0.1], 0.6),  # given in another order
    ],
)
def test_largest_reversal_by_hand(scores, mask_scores, reversal):
    assert largest_reversal(np.array(scores), np.array(mask_scores)) == pytest.approx(reversal)


@given(st.lists(st.tuples(unit, unit), max_size=8))
def test_largest_reversal_against_all_pairs(pairs):
    pairs.sort(key=lambda pair: -pair[0])
    gains = [later[1] - earlier[1] for i, earlier in enumerate(pairs) for later in pairs[i:]]
    scores, mask_scores = np.array(pairs).reshape(-1, 2).T
    assert largest_reversal(scores, mask_scores) == pytest.approx(max(gains, default=0))


def test_most_telling_are_those_with_the_largest_reversals():
    agrees = scored([0.9, 0.5], [0.9, 0.5])
    differs = scored([0.9, 0.8], [0.1, 0.9])
    a_little = scored([0.9, 0.8], [0.7, 0.9])
    assert most_telling([agrees, a_little, differs], 2) == [differs, a_little]
    assert most_telling([], 2) == []


def test_lengths_that_differ_are_refused():
    with pytest.raises(ValueError, match='same length'):
        scored([0.5, 0.4], [0.5])


def test_masks_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r'\(6, 8\)'):
        ScoredImage(**{**vars(scored([0.5], [0.5])), 'masks': np.zeros((1, 3, 4), bool)})
