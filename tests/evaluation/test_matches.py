"""The table of matches, its derived rankings and its file, also of the former format."""

import dataclasses
import math

import numpy as np
import pytest

from msrcnn_plugin import evaluation
from msrcnn_plugin.evaluation import MaskScoringResult, Matches, evaluate_coco

from .coco_sets import data_set, matches_of, random_set, rectangle, two_masks_one_object

BIG = 2**127 + 12345


def scored(seed=3, images=4):
    """A set whose results carry every score of the glossary, and one of its own."""
    data, results = random_set(seed, images)
    rng = np.random.default_rng(seed)
    for result in results:
        for name in ('mask_score', 'mask_iou', 'mask_mean_prob', 'own'):
            result[name] = round(float(rng.random()), 2)
    return evaluate_coco(data, results, ('score', 'mask_score', 'own')).matches


def former_file(path, matches, *, basis=True, gt_image=True):
    """Writes matches as the former `MaskScoringPairs` did: detections in the results' order."""
    back = np.argsort(matches.result_index)
    names = dict(mask_score='mask_score', box_score='score', predicted_iou='mask_iou',
                 mean_prob='mask_mean_prob')  # fmt: skip
    columns = {former: matches.scores[name][back] for former, name in names.items()}
    for name in ('true_iou', 'area', 'box'):
        columns[name] = getattr(matches, name)[back]
    protocol = matches.protocol
    kept = dict(
        place=matches.result_index, group=matches.group, truth_area=matches.gt_area,
        truth_category=matches.gt_category, truth_crowd=matches.gt_crowd,
        truth_id_is_zero=matches.gt_id_is_zero, pair_detection=matches.pair_detection,
        pair_truth=matches.pair_gt, pair_iou=matches.pair_iou,
        iou_thresholds=protocol.iou_thresholds, recall_thresholds=protocol.recall_thresholds,
        size_names=np.array(protocol.area_names), size_ranges=protocol.area_ranges,
        max_dets=np.array(protocol.max_dets),
    )  # fmt: skip
    if gt_image:
        kept['truth_image'] = np.array(matches.image_ids)[matches.gt_image]
    np.savez_compressed(
        path,
        format=1,
        image_id=np.array(matches.image_ids)[matches.image][back],
        category_id=np.array(matches.category_ids)[matches.category][back],
        category_ids=np.array(matches.category_ids),
        category_names=np.array(matches.category_names),
        **columns,
        **({f'basis_{name}': value for name, value in kept.items()} if basis else {}),
    )
    return path


def equal(first, second):
    for field in dataclasses.fields(Matches):
        one, other = getattr(first, field.name), getattr(second, field.name)
        if field.name == 'protocol':
            one, other = vars(one), vars(other)
        np.testing.assert_equal(one, other)


@pytest.mark.parametrize('ids', [int, str, lambda i: BIG + i, lambda i: i if i % 2 else f'{i}.jpg'])
def test_file_keeps_everything(tmp_path, ids):
    data, results = random_set(5)
    for item in (*data['annotations'], *results):
        item['image_id'] = ids(item['image_id'])
    for image in data['images']:
        image['id'] = ids(image['id'])
    matches = matches_of(data, results)
    assert {matches.image_ids[i] for i in matches.image} == {r['image_id'] for r in results}
    matches.save(tmp_path / 'new' / 'matches.npz')
    equal(Matches.load(tmp_path / 'new' / 'matches.npz'), matches)


def test_file_of_nothing(tmp_path):
    matches = matches_of(data_set(), [])
    matches.save(tmp_path / 'matches.npz')
    equal(Matches.load(tmp_path / 'matches.npz'), matches)


def test_best_object_by_hand():
    data = data_set(
        [1],
        [
            (1, 1, rectangle(0, 0, 10, 10)),
            (1, 1, rectangle(20, 0, 10, 10)),
            (1, 1, rectangle(20, 0, 10, 10), 1),
        ],
    )
    boxes = [(0, 0, 10, 5), (0, 0, 10, 8), (20, 0, 10, 10), (50, 50, 5, 5)]
    results = [dict(image_id=1, category_id=1, segmentation=rectangle(*box)) for box in boxes]
    matches = matches_of(data, results)
    assert matches.true_iou.tolist() == [0.5, 0.8, 1, 0]
    assert matches.best_gt.tolist() == [0, 0, 1, -1]
    assert matches.ranking_scores('unique').tolist() == [0, 0.8, 1, 0]
    assert matches.ranking_scores('oracle').tolist() == [0.25, 0.4, 0.5, 0]


@pytest.mark.parametrize('seed', range(8))
def test_no_score_beats_the_second_ceiling(seed):
    matches = scored(seed)
    best = matches.rank('unique').ap()
    rng = np.random.default_rng(seed)
    others = [matches.rank(name).ap() for name in ('score', 'oracle', 'own', 'prob')]
    others += [matches.rank(rng.random(len(matches))).ap() for _ in range(5)]
    assert math.isnan(best) or best >= max(others) - 1e-9


def test_the_second_ceiling_is_above_the_oracle_where_an_object_is_found_twice():
    data = data_set([1], [(1, 1, rectangle(0, 0, 40, 40)), (1, 1, rectangle(60, 0, 40, 40))])
    boxes = [(0, 0, 40, 40), (0, 0, 40, 39), (60, 0, 40, 30)]
    results = [dict(image_id=1, category_id=1, segmentation=rectangle(*box)) for box in boxes]
    matches = matches_of(data, results)
    assert matches.rank('oracle').ap(iou=0.5) == pytest.approx((51 * 1 + 50 * 2 / 3) / 101)
    assert matches.rank('unique').ap(iou=0.5) == pytest.approx(1)


def test_the_share_of_thresholds_of_a_match_by_hand():
    matches = two_masks_one_object()  # IoU 0.6, then 1
    # First in the order, the poor mask is the match at 0.5, 0.55 and 0.6.
    assert matches.matched_share([0.9, 0.8]).tolist() == pytest.approx([0.3, 0.7])
    assert matches.matched_share([0.8, 0.9]).tolist() == [0, 1]


@pytest.mark.parametrize('seed', range(8))
def test_shares_of_thresholds_add_up_to_recall(seed):
    matches = scored(seed)
    for name in ('score', 'oracle', 'own'):
        share = matches.matched_share(name)
        recall = matches.rank(name).recall[:, :, 0, -1]  # (I, K)
        for k in range(len(matches.category_ids)):
            objects = int((~matches.gt_crowd & (matches.gt_category == k)).sum())
            found = share[matches.category == k].sum()
            assert found == pytest.approx(max(objects * recall[:, k].mean(), 0), abs=1e-9)


def test_predicted_ious_rank_as_the_head_gave_them():
    matches = scored()
    head = np.linspace(0, 1, len(matches))
    calibrated = dataclasses.replace(
        matches, scores={**matches.scores, 'uncalibrated_mask_iou': head}
    )
    np.testing.assert_array_equal(calibrated.ranking_scores('mask_iou'), head)
    assert calibrated.rank('mask_iou').ap() == matches.rank(head).ap()


def test_scores_that_rank_nothing():
    matches = scored()
    for scores in (np.ones(2), np.ones((len(matches), 1)), np.full(len(matches), np.nan)):
        with pytest.raises(ValueError, match='a finite score for each detection'):
            matches.rank(scores)
    with pytest.raises(ValueError, match="no score 'iou'; there are score, mask_score, mask_iou"):
        matches.rank('iou')


def test_columns_of_different_lengths():
    with pytest.raises(ValueError, match=r"different lengths.*'area': 1"):
        dataclasses.replace(two_masks_one_object(), area=np.zeros(1))
    with pytest.raises(ValueError, match=r"different lengths.*'score': 3"):
        dataclasses.replace(two_masks_one_object(), scores={'score': np.zeros(3)})


@pytest.mark.parametrize('seed', range(3))
def test_a_former_file_gives_the_same_result(tmp_path, seed):
    matches = scored(seed)
    former = Matches.load(former_file(tmp_path / 'former.npz', matches))
    for name in ('score', 'mask_score', 'mask_iou', 'prob', 'oracle', 'unique'):
        np.testing.assert_array_equal(former.rank(name).precision, matches.rank(name).precision)
    own, again = (MaskScoringResult.from_matches(m).figures for m in (matches, former))
    assert {name: own[name] for name in again} == pytest.approx(again, nan_ok=True)
    assert former.bootstrap(resamples=10) == matches.bootstrap(resamples=10)


def test_an_older_file_without_the_objects_images(tmp_path):
    former = Matches.load(former_file(tmp_path / 'former.npz', scored(), gt_image=False))
    assert former.rank('score').ap() == scored().rank('score').ap()
    with pytest.raises(ValueError, match='test the model again'):
        former.bootstrap()


def test_the_oldest_file_has_scores_and_no_ap(tmp_path):
    matches = scored()
    former = Matches.load(former_file(tmp_path / 'former.npz', matches, basis=False))
    assert sorted(former.true_iou) == sorted(matches.true_iou)
    with pytest.raises(ValueError, match=r'which mask meets which object.*pairs_file='):
        former.rank('score')


def test_former_names_warn(tmp_path):
    with pytest.warns(DeprecationWarning, match='MaskScoringPairs is now Matches'):
        pairs = evaluation.MaskScoringPairs
    matches = scored()
    with pytest.warns(DeprecationWarning, match="now `scores.'mask_iou'.`"):
        np.testing.assert_array_equal(matches.predicted_iou, matches.scores['mask_iou'])
    with pytest.warns(DeprecationWarning, match='from_pairs is now from_matches'):
        MaskScoringResult.from_pairs(pairs.load(former_file(tmp_path / 'f.npz', matches)))
    with pytest.raises(AttributeError, match='no attribute'):
        _ = matches.nothing


def test_a_failed_write_leaves_the_old_file_alone(tmp_path, monkeypatch):
    path = tmp_path / 'matches.npz'
    two_masks_one_object().save(path)

    def half(stream, **arrays):
        stream.write(b'half')
        raise OSError('disk full')

    monkeypatch.setattr(np, 'savez_compressed', half)
    with pytest.raises(OSError, match='disk full'):
        scored().save(path)
    assert len(Matches.load(path)) == 2
    assert [item.name for item in tmp_path.iterdir()] == ['matches.npz']


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'no pairs file at .*pairs_file='):
        Matches.load(tmp_path / 'none.npz')


@pytest.mark.parametrize('content', [b'', b'no archive at all', b'PK\x03\x04cut short'])
def test_file_that_is_no_archive(tmp_path, content):
    path = tmp_path / 'matches.npz'
    path.write_bytes(content)
    with pytest.raises(ValueError, match='no readable pairs file'):
        Matches.load(path)


def test_archives_of_something_else(tmp_path):
    path = tmp_path / 'matches.npz'
    np.save(tmp_path / 'matches.npy', np.zeros(3))
    with pytest.raises(ValueError, match='no readable pairs file'):
        Matches.load(tmp_path / 'matches.npy')
    np.savez(path, true_iou=np.zeros(2))
    with pytest.raises(ValueError, match='lacks format, image_ids, category_ids'):
        Matches.load(path)
    np.savez(path, format=3)
    with pytest.raises(ValueError, match='has format 3, expected 2 or 1'):
        Matches.load(path)
    np.savez(path, image_id=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match='no readable pairs file'):
        Matches.load(path)
