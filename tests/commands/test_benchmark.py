"""The benchmark at tiny sizes: every section runs, and its tables are made from its record."""

import json
import math

import pytest
import torch
from mmengine.logging import MMLogger

from msrcnn_plugin.commands import benchmark, benchmark_cases, benchmark_detectors
from msrcnn_plugin.commands.benchmark_cases import SMALL, models
from msrcnn_plugin.commands.main import main
from msrcnn_plugin.synthetic.batch import Scene

from ..models.hosts import HOST_WARNINGS

# mmdet's RTMDet-Ins makes its grid of points and leaves autocast the old way.
pytestmark = [
    *HOST_WARNINGS,
    pytest.mark.filterwarnings('ignore:torch.meshgrid:UserWarning'),
    pytest.mark.filterwarnings('ignore:`torch.cuda.amp.autocast:FutureWarning'),
]


@pytest.fixture(scope='module')
def built():
    return models('ms_rcnn_r50_fpn', SMALL, 'stock', 'ms_rcnn', 'plugin')


@pytest.fixture(scope='module')
def record(tmp_path_factory):
    """Everything, measured once; of the hosts a cascade and RTMDet-Ins alone."""
    path = tmp_path_factory.mktemp('benchmark') / 'speed.json'
    with pytest.MonkeyPatch.context() as patch:
        # The benchmark silences mmengine's logger; here only during its run.
        patch.setattr(MMLogger, '_instance_dict', MMLogger._instance_dict.copy())
        patch.setattr(benchmark_cases, 'HOSTS', ('cascade_ms_rcnn_r50_fpn',))
        one = dict(rtmdet_ins_tiny=benchmark_detectors.DETECTORS['rtmdet_ins_tiny'])
        patch.setattr(benchmark_detectors, 'DETECTORS', one)
        assert main(['benchmark', '--small', '--json', str(path)]) == 0
    return json.loads(path.read_text())


def test_every_group_has_finite_times_of_all_its_cases(record):
    assert {section['group'] for section in record['sections']} == set(benchmark.GROUPS)
    for section in record['sections']:
        assert len(section['cases']) >= 2
        for case in section['cases'].values():
            assert all(0 < seconds < math.inf for seconds in case['seconds'])


def test_the_record_names_command_versions_and_machine(record):
    assert record['command'].startswith('msrcnn benchmark --small')
    assert {'commit', 'setting'} <= set(record)
    assert record['versions']['torch'] == torch.__version__
    assert record['machine']['cores'] >= 1
    assert record['machine']['cpu']


def test_tables_have_a_text_in_each_column_and_all_sections(record):
    tables = benchmark.speed_tables(record)
    assert [len(table.rows) for table in tables] == [6, 12, 1, 1, 3, 1]
    for table in tables:
        assert all(len(row) == len(table.head) for row in table.rows)


def test_ratios_are_those_of_the_rounds():
    def case(*seconds):
        return dict(seconds=list(seconds), peak_bytes=2**20)

    cases = dict(stock=case(1, 2, 4), ms_rcnn=case(2, 4, 5), plugin=case(1, 4, 2))
    section = dict(title='RoI head', group='loss', cases=cases)
    (table,) = benchmark.speed_tables(dict(sections=[section]))
    times = ['2.00 s, 1 MiB', '4.00 s, 1 MiB', '2.00 s, 1 MiB']
    (row,) = table.rows
    assert [cell.text for cell in row] == ['RoI head', *times, '1.00', '0.50']
    assert table.head[-2:] == ('ratio to Mask R-CNN', "ratio to mmdet's MS R-CNN")


def test_models_share_all_weights_that_they_have_in_common(built):
    states = {name: model.state_dict() for name, model in built.items()}
    assert states['ms_rcnn'].keys() == states['plugin'].keys() > states['stock'].keys()
    for name, value in states['plugin'].items():
        for other in (states['ms_rcnn'], states['stock']):
            # The record's training steps moved them, at a rate of 1e-9.
            assert name not in other or torch.allclose(value, other[name], atol=1e-6)


def test_both_targets_agree(built):
    scene = Scene(SMALL, images=2)
    stock, plugin = (
        benchmark_cases.targets(built[name], scene, 'bitmaps')() for name in ('ms_rcnn', 'plugin')
    )
    assert stock.shape == plugin.shape == (2 * SMALL.positives,)
    # mmdet counts whole pixels of the image, the plugin exact shares of them.
    assert (stock - plugin).abs().mean() < 0.05
