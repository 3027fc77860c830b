"""README's table is made from the results file, checked against it, and nothing else is touched."""

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


@pytest.fixture
def files(tmp_path):
    readme, results = tmp_path / 'README.md', tmp_path / 'results.json'
    readme.write_text(f'before\n{BEGIN}\nold\n{END}\nafter\n')
    results.write_text(json.dumps(RESULTS))
    return readme, results


@pytest.fixture
def run(files, capsys):
    def run(*options):
        readme, results = files
        words = [*options, '--readme', str(readme), '--results', str(results)]
        status = results_table.main(words)
        shown = capsys.readouterr()
        return status, shown.out + shown.err

    return run


def test_the_table_stands_between_the_markers(files, run):
    assert run('--check')[0] == 1
    assert 'old' in files[0].read_text()
    assert run()[0] == 0
    text = files[0].read_text()
    assert text.startswith(f'before\n{BEGIN}\n')
    assert text.endswith(f'\n{END}\nafter\n')
    assert '| cpu | Mask R-CNN | 2 | 38.6 ± 0.2 | – | – | 41.0 | – |' in text
    assert '| cpu | MS R-CNN, this plugin | 3 |' in text
    widths = {line.count('|') for line in text.splitlines() if line.startswith('|')}
    assert len(widths) == 1
    assert run('--check')[0] == 0
    run()
    assert files[0].read_text() == text


def test_results_without_a_model_make_an_empty_table():
    assert len(results_table.table({}).splitlines()) == 2


def test_without_results_it_says_so_and_changes_nothing(files, run):
    files[1].unlink()
    before = files[0].read_text()
    for option in ((), ('--check',)):
        status, shown = run(*option)
        assert status == 0
        assert 'is not there yet' in shown
    assert files[0].read_text() == before


@pytest.mark.parametrize('text', ['nothing', BEGIN, f'{END}{BEGIN}', f'{BEGIN}{END}{END}'])
def test_a_readme_without_its_markers_is_told_in_one_line(files, run, text):
    files[0].write_text(text)
    status, shown = run()
    assert status == 2
    assert 'has no place for its results' in shown
    assert len(shown.splitlines()) == 1
    assert files[0].read_text() == text


def test_broken_results_are_told_in_one_line(files, run):
    files[1].write_text('{')
    status, shown = run('--check')
    assert (status, len(shown.splitlines())) == (2, 1)
    assert 'results.json is no JSON' in shown


def test_make_has_both():
    makefile = (Path(results_table.REPOSITORY) / 'Makefile').read_text()
    assert re.search(r'^lint:.*?results_table\.py --check$', makefile, re.MULTILINE | re.DOTALL)
    assert re.search(r'^results:.*\n\t.*results_table\.py', makefile, re.MULTILINE)
