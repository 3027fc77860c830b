import json
from dataclasses import replace

import pytest
import torch
from mmengine.logging import MMLogger
from rich.console import Console

from tools.benchmarking import hosts, run
from tools.benchmarking.measuring import summary
from tools.benchmarking.suites import Settings, sections_of

from ..models.hosts import HOST_WARNINGS, HOSTS

TINY = Settings(image_size=(96, 128), objects=4, positives=6, rounds=1, small=True)
pytestmark = HOST_WARNINGS


@pytest.fixture(autouse=True)
def own_loggers(monkeypatch):
    """The tool silences mmengine's logger, in here for a test only."""
    monkeypatch.setattr(MMLogger, '_instance_dict', MMLogger._instance_dict.copy())


def test_measures_every_host_against_mmdets_own():
    assert {name: hosts.stock_type(hosts.host_config(name, TINY).type) for name in HOSTS} == HOSTS
    assert set(hosts.HOSTS) == set(HOSTS)


@pytest.mark.parametrize('name', ['cascade_ms_rcnn_r50_fpn', 'point_rend_ms_rcnn_r50_fpn'])
def test_both_have_the_weights_of_the_host(name):
    stock, plugin = (hosts.build_host(name, case, TINY).state_dict() for case in hosts.CASES)
    assert {key for key in plugin if key not in stock} == {
        key for key in plugin if 'mask_iou_head' in key
    }
    assert all(torch.equal(plugin[key], value) for key, value in stock.items())


def test_counts_the_parameters_of_the_paper():
    full = replace(TINY, small=False)
    convs = (257 * 9 + 1 + 3 * (256 * 9 + 1)) * 256
    fcs = (256 * 7 * 7 + 1) * 1024 + (1024 + 1) * 1024 + (1024 + 1) * 80
    assert hosts.extra_parameters('ms_rcnn_r50_fpn', full) == convs + fcs
    assert hosts.extra_parameters('cascade_ms_rcnn_r50_fpn', full) == convs + fcs


@pytest.mark.parametrize('case', hosts.CASES)
def test_predicts_a_hundred_detections(case):
    scene = replace(TINY, positives=120).scene(1)
    predict = hosts.make_case('htc_ms_rcnn_r50_fpn', 'predict', case, TINY, scene)
    (results,) = predict.run(*predict.inputs(scene))
    assert len(results) == len(results.masks) == 100
    assert ('mask_ious' in results) == (case == 'plugin')


def made_up_sections():
    cases = dict(stock=summary([1.0, 2.0, 3.0]), plugin=summary([1.5, 2.1, 3.2]))
    return {f'{name}/{part}': cases for name in hosts.HOSTS for part in hosts.PARTS}


def test_more_time_is_that_of_each_round():
    row = hosts.rows(made_up_sections(), TINY)[0]
    assert row['host'] == 'ms_rcnn_r50_fpn'
    assert (row['predict']['stock'], row['predict']['plugin']) == (2.0, 2.1)
    assert row['predict']['extra'] == pytest.approx(0.2)


def test_shows_a_row_for_each_host(capsys):
    Console(width=118).print(hosts.table(hosts.rows(made_up_sections(), TINY)))
    shown = capsys.readouterr().out
    assert all(name in shown for name in hosts.HOSTS)
    assert '200 ms (+10 %)' in shown


def test_the_suite_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(hosts, 'HOSTS', ('scnet_ms_rcnn_r50_fpn',))
    with open(tmp_path / 'out', 'w') as out:
        measured = run.Run(
            TINY, Console(file=out, width=118), ['unused'], tmp_path / 'results.json'
        )
        measured.measure(['hosts'])
    results = json.loads((tmp_path / 'results.json').read_text())
    assert list(results['suites']['hosts']) == [
        section.name for section in sections_of('hosts', TINY)
    ]
    assert [row['host'] for row in results['hosts']] == ['scnet_ms_rcnn_r50_fpn']
    assert results['hosts'][0]['loss']['plugin'] > 0
    assert 'what mask scoring adds' in (tmp_path / 'out').read_text()
