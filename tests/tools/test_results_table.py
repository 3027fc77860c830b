"""README's tables: made from the results files, checked against them, and nothing else touched."""

import json
import re
from pathlib import Path

import pytest

from tools import results_table
from tools.results_table import BEGIN, END

RESULTS = {
    'cpu': {
        'mask_rcnn': {
            'bbox_mAP': dict(mean=0.3861, std=0.0021, seeds=2),
            'segm_mAP': dict(mean=0.41, std=None, seeds=2),
        },
        'plugin': {'mask_iou_pearson': dict(mean=0.9, std=0.01, seeds=3)},
    }
}
RUNS = {
    'cpu': [
        dict(run='mask_rcnn', title='Mask R-CNN', paper=None),
        dict(run='plugin', title='Ours', paper='table 3'),
    ]
}
NUCLEI = 'configs/nuclei/results.json'
OTHER = 'configs/other/results.json'


def block(file, content='old'):
    return f'{BEGIN.format(file)}\n{content}\n{END}'


def write(folder, file, results=RESULTS):
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results))
    path.with_suffix('.runs.json').write_text(json.dumps(RUNS))
    return path


@pytest.fixture
def readme(tmp_path):
    write(tmp_path, NUCLEI)
    path = tmp_path / 'README.md'
    path.write_text(f'before\n{block(NUCLEI)}\nafter\n')
    return path


@pytest.fixture
def run(readme, capsys):
    def run(*options):
        status = results_table.main([*options, '--readme', str(readme)])
        shown = capsys.readouterr()
        return status, shown.out + shown.err

    return run


def test_the_table_stands_between_the_markers(readme, run):
    assert run('--check')[0] == 1
    assert 'old' in readme.read_text()
    assert run()[0] == 0
    text = readme.read_text()
    assert text.startswith(f'before\n{BEGIN.format(NUCLEI)}\n')
    assert text.endswith(f'\n{END}\nafter\n')
    assert 'Study *cpu*\n\n| run | model | seeds | box AP | by mask score | Pearson |' in text
    assert '| `mask_rcnn` | Mask R-CNN | 2 | 38.6 ± 0.2 | 41.0 | – |' in text
    assert '| `plugin` | Ours (table 3) | 3 | – | – | 0.900 ± 0.010 |' in text
    assert run('--check')[0] == 0
    run()
    assert readme.read_text() == text


def test_every_file_has_its_own(readme, run):
    write(readme.parent, OTHER, {'cpu': {'plugin': {'bbox_mAP': dict(mean=1, std=0, seeds=2)}}})
    readme.write_text(f'{block(NUCLEI)}\nbetween\n{block(OTHER)}\n')
    assert run()[0] == 0
    first, second = readme.read_text().split('between')
    assert 'Mask R-CNN' in first
    assert '| `plugin` | Ours (table 3) | 2 | 100.0 ± 0.0 |' in second
    assert 'Mask R-CNN' not in second


def named(*runs):
    return [dict(run=run, title=run.upper(), paper=None) for run in runs]


def test_what_all_runs_of_a_study_share_is_said_once():
    box = dict(bbox_mAP=dict(mean=0.387, std=None, seeds=1))
    runs = {
        name: {**box, 'gain': dict(mean=gain, std=None, seeds=1)}
        for name, gain in (('a', 0.01), ('b', 0.02))
    }
    first, second = results_table.tables(
        {'small': runs, 'large': {'a': runs['a']}}, {'small': named('a', 'b'), 'large': named('a')}
    ).split('\n\nStudy *large*\n\n')
    assert first.splitlines() == [
        'Study *small*, all runs: seeds 1, box AP 38.7',
        '',
        '| run | model | gain |',
        '| --- | --- | ---: |',
        '| `a` | A | 1.00 |',
        '| `b` | B | 2.00 |',
    ]
    # Of a single run nothing is shared.
    assert second.splitlines()[0] == '| run | model | seeds | box AP | gain |'


def test_a_difference_has_its_interval_for_each_seed():
    records = named('a', 'b', 'b', 'c')
    records[1]['difference'] = dict(run='a', gain=-0.012, low=-0.0161, high=-0.008)
    records[2]['difference'] = dict(run='a', gain=0.001, low=-0.002, high=0.003)
    records[3]['difference'] = dict(run='a', gain=None, low=None, high=None)
    lines = results_table.table('small', {run: {} for run in 'abc'}, records).splitlines()
    assert lines[2] == '| run | model | mask AP against `a` |'
    assert [line.split(' | ')[-1] for line in lines[4:]] == [
        '– |',
        '-1.20 (-1.61 to -0.80); +0.10 (-0.20 to +0.30) |',
        '– |',
    ]


def test_a_file_without_studies_shows_nothing():
    assert results_table.tables({}, {}) == ''


@pytest.mark.parametrize(
    'text',
    [
        'nothing',
        BEGIN.format(NUCLEI),
        f'{END}{BEGIN.format(NUCLEI)}',
        f'{block(NUCLEI)}\n{block(NUCLEI)}',
        f'{BEGIN.format(NUCLEI)}\n{block(NUCLEI)}',
        f'{BEGIN.format(NUCLEI)}\n{block(OTHER)}',
        f'{block(NUCLEI)}\n{block(OTHER)}',
    ],
)
def test_a_readme_without_its_markers_is_told_in_one_line(readme, run, text):
    readme.write_text(text)
    status, shown = run()
    assert status == 2
    assert 'has no place for' in shown or 'has a place for' in shown
    assert len(shown.splitlines()) == 1
    assert readme.read_text() == text


def test_broken_results_are_told_in_one_line(readme, run):
    (readme.parent / NUCLEI).write_text('{')
    status, shown = run('--check')
    assert (status, len(shown.splitlines())) == (2, 1)
    assert 'results.json is no JSON' in shown


@pytest.mark.parametrize('runs', ['{}', '{"cpu": []}', '[]'])
def test_records_of_other_results_are_told_in_one_line(readme, run, runs):
    (readme.parent / NUCLEI).with_suffix('.runs.json').write_text(runs)
    status, shown = run('--check')
    assert (status, len(shown.splitlines())) == (2, 1)
    assert 'results.json and its .runs.json do not fit each other' in shown


def test_make_has_both():
    makefile = (Path(results_table.REPOSITORY) / 'Makefile').read_text()
    assert re.search(r'^lint:.*?results_table\.py --check$', makefile, re.MULTILINE | re.DOTALL)
    assert re.search(r'^results:.*\n\t.*results_table\.py', makefile, re.MULTILINE)
