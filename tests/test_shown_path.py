"""What others read names no folder of this machine."""

import pytest

from msrcnn_plugin.shown_path import shown_command, shown_path


@pytest.mark.parametrize(
    ('given', 'shown'),
    [
        ('{here}/out/log.txt', 'out/log.txt'),
        ('/elsewhere/log.txt', 'log.txt'),
        ('../sibling/log.txt', 'log.txt'),
        ('out/log.txt', 'out/log.txt'),
        ('{here}', '.'),
    ],
)
def test_paths(given, shown, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shown_path(given.format(here=tmp_path)) == shown


def test_a_command_keeps_its_options(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = ['a.py', f'{tmp_path}/b.pth', '--name', 'my model', '--out=/far/page.html']
    given += ['--cfg-options', f'data_root={tmp_path}/set', 'lr=0.1', '--cases', '0']
    shown = "a.py b.pth --name 'my model' --out=page.html --cfg-options data_root=set lr=0.1"
    assert shown_command('tools/x.py', given) == f'python tools/x.py {shown} --cases 0'
