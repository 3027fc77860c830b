"""The tables of the documents: made from records, checked against them, nothing else touched."""

import json
import shutil

import pytest

from projects.ablations import tables
from projects.ablations.tables import REPOSITORY, Table, figure, fill, interval, markdown

END = '<!-- end of results -->'


def record(run, seed=0, study='classes', **figures):
    return dict(study=study, run=run, seed=seed, figures=figures)


def block(name, content='old'):
    return f'<!-- results:{name} -->\n{content}\n{END}'


def test_mean_and_deviation_over_the_seeds_and_what_is_missing():
    ap, mae = figure('AP', 'figures.ap', 100, 1), figure('MAE', 'figures.mae')
    records = [record('a', 0, ap=0.38), record('a', 1, ap=0.4), record('b', ap=None)]
    records.append(record('b', 1, ap=0.5, mae=0.25))
    shown = markdown(Table('', (tables.RUN, ap, mae)), records)
    assert shown.splitlines()[-4:] == [
        '| run | AP | MAE |',
        '| --- | ---: | ---: |',
        '| `a` | 39.0 ± 1.4 | – |',
        '| `b` | 50.0 | 0.250 |',
    ]


def test_the_table_gives_titles_and_order_and_shared_values_stand_once():
    records = [record('classes_all', x=1), record('classes_target', x=1), record('other', x=1)]
    records = [*records[:2], {**records[2], 'study': 'another', 'title': 'Mine'}]
    columns = (tables.MODEL, figure('x', 'figures.x', 1, 0))
    first, second = markdown(Table('', columns), records).split('\n\n| model | x |')[0:2]
    assert '*, all runs: x 1' in first
    assert first.index('target class') < first.index('all classes (target #2)')
    assert '| Mine | 1 |' in second


def test_an_interval_is_given_for_each_seed():
    column = interval('against {run}', 'difference')
    gain = dict(run='classes_target', gain=-0.012, low=-0.0161, high=-0.008)
    records = [record('classes_target'), {**record('classes_all'), 'difference': gain}]
    records.append({**record('classes_all', 1), 'difference': dict(gain, gain=0.001)})
    shown = markdown(Table('', (tables.RUN, column)), records)
    assert '| run | against `classes_target` |' in shown
    assert '| `classes_target` | – |' in shown
    assert '-1.20 (-1.61 to -0.80); +0.10 (-1.61 to -0.80) |' in shown


def test_a_step_of_the_matrix_shows_its_seconds_or_that_it_failed():
    done = dict(seconds=dict(tests=90.4), passed=dict(tests=True))
    failed = dict(seconds=dict(tests=2), passed=dict(tests=False))
    skipped = dict(seconds={}, passed={})
    records = [dict(run=name, **steps) for name, steps in zip('abc', (done, failed, skipped))]
    shown = markdown(Table('', (tables.RUN, tables.step('tests, s', 'tests'))), records)
    assert shown.splitlines()[-3:] == ['| `a` | 90 |', '| `b` | fails |', '| `c` | – |']


def test_a_study_that_a_table_leaves_out_is_not_shown():
    assert markdown(Table('', (tables.RUN,), studies=('nuclei',)), [record('a')]) == ''


@pytest.mark.parametrize(
    'text', [block('none'), '<!-- results:a -->', f'<!-- results:a -->\n{block("a")}']
)
def test_wrong_markers_are_refused(text):
    with pytest.raises(ValueError, match='<!-- '):
        fill(text, {'a': 'new'})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A README with a table of one record file."""
    monkeypatch.setattr(tables, 'TABLES', {'a': Table('mine', (tables.RUN,))})
    (tmp_path / 'results').mkdir()
    (tmp_path / 'results' / 'mine.json').write_text(json.dumps(dict(runs=[record('τ')])))
    shutil.copy(REPOSITORY / 'results' / 'speed.json', tmp_path / 'results')
    (tmp_path / 'docs' / 'results').mkdir(parents=True)
    (tmp_path / 'docs' / 'results' / 'page.md').write_text('no table')
    (tmp_path / 'README.md').write_text(f'before\n{block("a")}\nafter\n')
    return tmp_path


def test_only_what_stands_between_the_markers_is_written(folder, capsys):
    assert tables.main(['--check'], folder) == 1
    assert 'README.md is older' in capsys.readouterr().out
    assert 'old' in (folder / 'README.md').read_text()
    assert tables.main([], folder) == 0
    text = (folder / 'README.md').read_text(encoding='utf-8')
    assert text.startswith('before\n<!-- results:a -->\n\n')
    assert text.endswith(f'| `τ` |\n\n{END}\nafter\n')
    assert tables.main(['--check'], folder) == 0
    assert tables.main([], folder) == 0
    assert (folder / 'README.md').read_text(encoding='utf-8') == text


@pytest.mark.parametrize('content', ['{', '[]', '{}'])
def test_a_broken_record_file_is_reported_in_one_line(folder, capsys, content):
    (folder / 'results' / 'mine.json').write_text(content)
    assert tables.main(['--check'], folder) == 2
    assert 'mine.json holds no records' in capsys.readouterr().err


def test_the_documents_are_up_to_date():
    assert tables.main(['--check']) == 0
    makefile = (REPOSITORY / 'Makefile').read_text()
    assert makefile.count('projects/ablations/tables.py') == 2  # results, lint
