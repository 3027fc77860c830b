"""The command's parser, its errors and its shims; the sub-commands have files of their own."""

import subprocess
import sys
from pathlib import Path

import pytest

from msrcnn_plugin.commands import arguments, main, report

ROOT = Path(__file__).parents[2]
SHIMS = {
    'report': 'report',
    'compare': 'compare',
    'calibrate': 'calibrate',
    'convert_checkpoint': 'convert',
    'review_queue': 'review',
}


def stopped(words, capsys):
    """Status and output of a call that the parser ends."""
    with pytest.raises(SystemExit) as exit_info:
        main.main(words)
    shown = capsys.readouterr()
    return exit_info.value.code, shown.out + shown.err


def test_help_lists_every_command(capsys):
    status, text = stopped(['--help'], capsys)
    assert status == 0
    assert all(f'    {name}' in text for name in main.COMMANDS)


LEAVES = {*main.COMMANDS} - {'benchmark', 'rescore'}


@pytest.mark.parametrize('name', sorted(LEAVES | {'rescore'}))
def test_the_help_of_each_command_has_an_example(name, capsys):
    status, text = stopped([name, '--help'], capsys)
    assert status == 0
    assert 'example' in text
    assert f'\n  msrcnn {name}' in text


@pytest.mark.parametrize('name', [*sorted(LEAVES), 'rescore fit', 'rescore apply'])
def test_each_command_writes_json_where_asked(name, capsys):
    status, text = stopped([*name.split(), '--help'], capsys)
    assert status == 0
    assert '--json FILE' in text


@pytest.mark.parametrize('words', [['--version'], ['report', '--version']])
def test_version(words, capsys):
    status, text = stopped(words, capsys)
    assert status == 0
    assert text.startswith('msrcnn ')


@pytest.mark.parametrize('words', [[], ['repot'], ['report', '--nothing'], ['calibrate']])
def test_wrong_arguments_take_one_line(words, capsys):
    status, text = stopped(words, capsys)
    assert status == 2
    assert text.count('\n') == 1
    assert text.startswith('msrcnn')


@pytest.mark.parametrize('error', [ValueError, OSError, ImportError])
def test_an_error_is_one_line_and_status_2(monkeypatch, capsys, error):
    def fail(args):
        raise error('two\n lines')

    monkeypatch.setattr(report, 'run', fail)
    assert main.main(['report', 'a.npz']) == 2
    text = capsys.readouterr().err
    assert text.startswith('msrcnn report: two lines')
    assert text.count('\n') == 1


def test_ctrl_c_leaves_no_traceback(monkeypatch, capsys):
    def interrupted(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(report, 'run', interrupted)
    assert main.main(['report', 'a.npz']) == 130
    assert 'interrupted' in capsys.readouterr().err


def test_help_loads_no_heavy_module():
    code = (
        'import sys; from msrcnn_plugin.commands.main import main\n'
        'try: main(["--help"])\n'
        'except SystemExit: pass\n'
        'print({"numpy", "torch", "matplotlib", "rich"} & set(sys.modules))'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == 'set()', done.stderr


@pytest.mark.parametrize(('tool', 'command'), SHIMS.items())
def test_a_tool_is_its_command(tool, command, tmp_path):
    words = [sys.executable, ROOT / 'tools' / f'{tool}.py', '--help']
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0
    assert f'usage: msrcnn {command}' in done.stdout


def test_config_options_are_mmengines():
    parser = main.Parser()
    arguments.add_config_options(parser)
    words = '--cfg-options a.b=1 c=[2,3] --cfg-options d=x'.split()
    assert parser.parse_args(words).cfg_options == {'a.b': 1, 'c': [2, 3], 'd': 'x'}


def test_a_config_option_without_value(capsys):
    status, text = stopped(['report', 'a', 'b', '--cfg-options', 'lr'], capsys)
    assert status == 2
    assert '--cfg-options lr: give KEY=VALUE' in text


def test_a_shown_command_names_no_folder_of_the_machine():
    words = ['a.py', '/far/b.pth', '--name', 'my model', '--out=/far/out', 'x.y=/data/set']
    shown = "msrcnn report a.py b.pth --name 'my model' --out=out x.y=set"
    assert arguments.shown_command('report', words) == shown


def test_a_table_is_markdown_in_a_pipe_and_drawn_on_a_terminal(monkeypatch, capsys):
    from msrcnn_plugin.visualization.report import Cell, Table, number

    table = Table('AP', ('model', 'AP'), ((Cell('R50 [bold]'), number(36.0, 1)),))
    arguments.print_table(table)
    assert '| R50 [bold] | 36.0 |' in capsys.readouterr().out
    monkeypatch.setattr(sys.stdout, 'isatty', lambda: True)
    from rich import console

    drawn = console.Console(width=40, record=True)
    monkeypatch.setattr(console, 'Console', lambda: drawn)
    arguments.print_table(table)
    assert '│ R50 [bold] │ 36.0 │' in drawn.export_text()
