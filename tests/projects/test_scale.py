"""The synthetic set of the scale study can be judged; time and memory of a process are its own."""

import sys

import pytest

from msrcnn_plugin.evaluation import evaluate_coco
from projects.scale import measure


def test_the_set_can_be_judged(tmp_path):
    counts = measure.make_set(tmp_path, 5)
    assert counts == dict(objects=36, detections=500)
    result = evaluate_coco(str(tmp_path / 'gt.json'), str(tmp_path / 'dt.json'))
    assert len(result.matches) == 500
    assert 0.01 < result.figures['segm_mAP'] < 0.9


def test_a_process_is_measured_and_its_failure_told():
    small, large = (measure.measure([sys.executable, '-c', f'b"0" * {n}']) for n in (1, 2**28))
    assert large['peak_gib'] - small['peak_gib'] > 0.2
    with pytest.raises(RuntimeError, match='failed with 3'):
        measure.measure([sys.executable, '-c', 'raise SystemExit(3)'])
