"""The benchmark at tiny sizes: every section runs, and its tables are made from its record."""

import argparse
import json
import math

import pytest
import torch
from mmengine.logging import MMLogger

from msrcnn_plugin.commands import benchmark, benchmark_cases
from msrcnn_plugin.commands.benchmark_inputs import SMALL, Scene, detected_scene, models

from ..models.hosts import HOST_WARNINGS

pytestmark = HOST_WARNINGS


@pytest.fixture(autouse=True)
def own_loggers(monkeypatch):
    """The benchmark silences mmengine's logger; here only during a test."""
    monkeypatch.setattr(MMLogger, '_instance_dict', MMLogger._instance_dict.copy())


def parse(*words):
    parser = argparse.ArgumentParser()
    benchmark.add_arguments(parser)
    return parser.parse_args(list(words))


@pytest.fixture(scope='module')
def record(tmp_path_factory):
    """Everything, measured once; of the hosts a cascade alone."""
    path = tmp_path_factory.mktemp('benchmark') / 'speed.json'
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(benchmark_cases, 'HOSTS', ('cascade_ms_rcnn_r50_fpn',))
        patch.setattr(benchmark, 'MIN_ROUNDS', 1)
        words = ['--small', '--min-run-time', '0', '--device', 'cpu', '--json', str(path)]
        assert benchmark.run(parse(*words)) == 0
    return json.loads(path.read_text())


def test_every_group_has_finite_times_of_all_its_cases(record):
    assert record['finished']
    assert {name.split('/')[0] for name in record['sections']} == set(benchmark.GROUPS)
    for section in record['sections'].values():
        assert len(section['cases']) >= 2
        for case in section['cases'].values():
            assert case['median'] > 0
            assert all(math.isfinite(seconds) for seconds in case['seconds'])


def test_the_record_names_command_versions_and_machine(record):
    assert {'command', 'commit', 'versions', 'machine', 'setting'} <= set(record)
    assert record['versions']['torch'] == torch.__version__.split('+')[0]
    assert record['machine']['cores'] >= 1
    assert record['machine']['cpu']


def test_tables_have_a_text_in_each_column_and_all_sections(record):
    tables = benchmark.speed_tables(record)
    assert [len(table.rows) for table in tables] == [6, 2, 4, 1]
    for table in tables:
        assert all(len(row) == len(table.columns) for row in table.rows)
        assert all(isinstance(cell, str) for row in table.rows for cell in row)


def test_ratios_are_those_of_the_rounds():
    def case(*seconds):
        return dict(seconds=list(seconds), median=sorted(seconds)[1], peak_bytes=2**20)

    cases = dict(mask_rcnn=case(1, 2, 4), ms_rcnn=case(2, 4, 5), plugin=case(1, 4, 2))
    section = dict(title='RoI head', cases=cases)
    (table,) = benchmark.speed_tables(dict(sections={'loss/forward': section}))
    times = ['2.00 s, 1 MiB', '4.00 s, 1 MiB', '2.00 s, 1 MiB']
    assert table.rows == [['RoI head', *times, '1.00', '0.50']]


def test_models_share_all_weights_that_they_have_in_common():
    built = models('ms_rcnn_r50_fpn', SMALL, benchmark_cases.MODEL_CASES)
    states = {name: model.state_dict() for name, model in built.items()}
    assert states['ms_rcnn'].keys() == states['plugin'].keys() > states['mask_rcnn'].keys()
    for name, value in states['plugin'].items():
        assert torch.equal(value, states['ms_rcnn'][name])
        assert name not in states['mask_rcnn'] or torch.equal(value, states['mask_rcnn'][name])


def test_both_targets_agree():
    built = models('ms_rcnn_r50_fpn', SMALL, benchmark_cases.MODEL_CASES)
    scene = Scene(SMALL, images=2)
    stock, plugin = (
        benchmark_cases.targets(built[name], scene, 'bitmaps')()() for name in ('ms_rcnn', 'plugin')
    )
    assert stock.shape == plugin.shape == (2 * SMALL.positives,)
    # mmdet counts whole pixels of the image, the plugin exact shares of them.
    assert (stock - plugin).abs().mean() < 0.05


def test_a_scene_is_reproducible_and_its_detections_are_a_hundred():
    first, second = (Scene(SMALL, images=2) for _ in range(2))
    for one, other in zip(first.images, second.images):
        assert torch.equal(one.positives, other.positives)
        assert one.boxes.shape == (SMALL.objects, 4)
        assert one.positives.shape == (SMALL.positives, 4)
    coco, predictions = detected_scene(first)
    assert len(coco['annotations']) == 2 * SMALL.objects
    assert [len(p['pred_instances']['masks']) for p in predictions] == [100, 100]


@pytest.mark.skipif(torch.cuda.is_available(), reason='needs a machine without a GPU')
def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match='no CUDA device'):
        benchmark.run(parse('--device', 'cuda'))


def test_an_interrupted_run_keeps_what_was_finished(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(benchmark, 'measure', interrupted)
    path = tmp_path / 'speed.json'
    assert benchmark.run(parse('--small', '--group', 'targets', '--json', str(path))) == 130
    assert json.loads(path.read_text())['finished'] is False
