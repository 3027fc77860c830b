import dataclasses

import numpy as np
import pytest

from msrcnn_plugin.evaluation import MaskScoringPairs


def pairs_of(count=3, predicts_iou=True, images=int):
    values = np.linspace(0, 1, count)
    return MaskScoringPairs(
        image_id=np.array([images(i) for i in range(count)]),
        category_id=np.arange(count),
        box_score=values,
        mask_score=values / 2,
        predicted_iou=values / 3 if predicts_iou else None,
        true_iou=values / 4,
        area=values * 100,
        box=np.zeros((count, 4)),
        category_ids=np.array([1, 2]),
        category_names=np.array(['cat', 'dog']),
    )


@pytest.mark.parametrize('count', [0, 3])
@pytest.mark.parametrize('predicts_iou', [True, False])
def test_file_gives_back_what_was_saved(tmp_path, count, predicts_iou):
    pairs = pairs_of(count, predicts_iou, images=str)
    pairs.save(tmp_path / 'new' / 'pairs.npz')
    loaded = MaskScoringPairs.load(tmp_path / 'new' / 'pairs.npz')
    assert len(loaded) == count
    for field in dataclasses.fields(pairs):
        np.testing.assert_array_equal(getattr(loaded, field.name), getattr(pairs, field.name))


def test_the_ious_of_the_model_are_those_before_calibration(tmp_path):
    pairs = pairs_of(3)
    assert pairs.model_iou is pairs.predicted_iou
    before = np.array([0.1, 0.5, 0.6])
    dataclasses.replace(pairs, uncalibrated_iou=before).save(tmp_path / 'pairs.npz')
    calibrated = MaskScoringPairs.load(tmp_path / 'pairs.npz')
    np.testing.assert_array_equal(calibrated.model_iou, before)
    np.testing.assert_array_equal(calibrated.predicted_iou, pairs.predicted_iou)
    assert pairs_of(3, predicts_iou=False).model_iou is None


def test_a_failed_write_leaves_the_old_file_alone(tmp_path, monkeypatch):
    path = tmp_path / 'pairs.npz'
    pairs_of(2).save(path)

    def half(stream, **arrays):
        stream.write(b'half')
        raise OSError('disk full')

    monkeypatch.setattr(np, 'savez_compressed', half)
    with pytest.raises(OSError, match='disk full'):
        pairs_of(3).save(path)
    assert len(MaskScoringPairs.load(path)) == 2
    assert [item.name for item in tmp_path.iterdir()] == ['pairs.npz']


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'no pairs file at .*pairs_file='):
        MaskScoringPairs.load(tmp_path / 'none.npz')


@pytest.mark.parametrize('content', [b'', b'no archive at all', b'PK\x03\x04cut short'])
def test_file_that_is_no_archive(tmp_path, content):
    path = tmp_path / 'pairs.npz'
    path.write_bytes(content)
    with pytest.raises(ValueError, match='no readable pairs file'):
        MaskScoringPairs.load(path)


def test_single_array_is_no_archive(tmp_path):
    np.save(tmp_path / 'pairs.npy', np.zeros(3))
    with pytest.raises(ValueError, match='no readable pairs file'):
        MaskScoringPairs.load(tmp_path / 'pairs.npy')


def test_archive_of_something_else(tmp_path):
    np.savez(tmp_path / 'pairs.npz', true_iou=np.zeros(2))
    with pytest.raises(ValueError, match='lacks format, image_id, category_id'):
        MaskScoringPairs.load(tmp_path / 'pairs.npz')


def test_archive_of_a_later_format(tmp_path, monkeypatch):
    monkeypatch.setattr('msrcnn_plugin.evaluation.pairs.FORMAT', 2)
    pairs_of().save(tmp_path / 'pairs.npz')
    monkeypatch.undo()
    with pytest.raises(ValueError, match='has format 2, expected 1'):
        MaskScoringPairs.load(tmp_path / 'pairs.npz')


def test_pickled_objects_are_not_run(tmp_path):
    np.savez(tmp_path / 'pairs.npz', image_id=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match='no readable pairs file'):
        MaskScoringPairs.load(tmp_path / 'pairs.npz')


def test_different_lengths_are_refused():
    with pytest.raises(ValueError, match=r"different lengths.*'area': 1"):
        dataclasses.replace(pairs_of(3), area=np.zeros(1))
