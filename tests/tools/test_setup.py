"""`make setup` with an interpreter that only notes what it is asked to do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Stands in for Python, in the environment too. A wheel works where its content is "sound".
PYTHON = f"""#!/bin/sh
echo "$@" >>"$CALLS"
case "$*" in
  '-m venv '*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  *' install --force-reinstall '*) for last; do :; done; cp "$last" "$CALLS.wheel" ;;
  '-m pip download '*) while [ "$1" != -d ]; do shift; done; cp "$SDIST" "$2/mmcv-2.1.0.tar.gz" ;;
  '-m pip wheel '*)
    echo ' [8/77] c++'
    [ -z "$BREAKS" ] || exit 1
    while [ "$1" != -w ]; do shift; done
    echo "${{COMPILED:-sound}}" >"$2/mmcv-2.1.0-cp311.whl" ;;
  '-') printf 'torch-9_cp311_cpu_linux\\n2\\n' ;;
  '- '*) grep -q sound "$CALLS.wheel" ;;
  # Python 3.11, whatever runs the tests.
  *version_info*) case "$*" in *onedl*) echo openmmlab ;; esac ;;
  '-c '*) exec {sys.executable} "$@" ;;
  *--version) echo 'Python 3.9.18' ;;
esac
"""
# Stands in for df: what is free in the first folder of the path.
DISK = '#!/bin/sh\necho head\necho disk 9 9 {}000000 9 /\n'
KEY = 'mmcv-2.1.0_torch-9_cp311_cpu_linux'


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def setup(tmp_path, monkeypatch):
    """Calls make with the fake interpreter and room on the disk; returns status and output."""
    script(tmp_path / 'roomy' / 'df', DISK.format(99))
    monkeypatch.setenv('PATH', f'{tmp_path}/roomy', prepend=os.pathsep)
    python = script(tmp_path / 'python', PYTHON)
    sdist = tmp_path / 'sdist.tar.gz'
    (tmp_path / 'mmcv-2.1.0').mkdir()
    subprocess.run(['tar', '-czf', sdist, '-C', tmp_path, 'mmcv-2.1.0'], check=True)
    leaks = ('HOST', 'VENV', 'MAX_JOBS', 'MAKEFLAGS', 'MAKELEVEL', 'TORCH_INDEX', 'CONSTRAINTS')
    kept = {name: value for name, value in os.environ.items() if name not in leaks}

    def call(*words, **variables):
        known = {
            'PYTHON': str(python),
            'VENV': str(tmp_path / 'venv'),
            'XDG_CACHE_HOME': str(tmp_path / 'cache'),
            'CALLS': str(tmp_path / 'calls'),
            'SDIST': str(sdist),
            'CXX': 'true',
            **variables,
        }
        settings = {
            'env': {**kept, **known},
            'stderr': subprocess.STDOUT,
            'stdout': subprocess.PIPE,
        }
        done = subprocess.run(['make', 'setup', *words], cwd=ROOT, text=True, **settings)
        return done.returncode, done.stdout

    return call


def calls(tmp_path, words=''):
    return [line for line in (tmp_path / 'calls').read_text().splitlines() if words in line]


def wheels(tmp_path):
    return [file.relative_to(tmp_path).parts[-2] for file in (tmp_path / 'cache').rglob('*.whl')]


# --- before any work


def refused(tmp_path, outcome, *words):
    status, shown = outcome
    assert status != 0
    (line,) = (line for line in shown.splitlines() if line.startswith('set-up: '))
    assert all(word in line for word in words), line
    assert not (tmp_path / 'venv').exists()


def test_an_unfit_python_is_named_with_what_is_expected(setup, tmp_path):
    old = script(tmp_path / 'old', '#!/bin/sh\necho Python 3.9.18\nexit 1\n')
    refused(tmp_path, setup(PYTHON=str(old)), 'Python 3.9.18', '3.10 to 3.13', 'PYTHON=')


def test_a_python_of_pyenv_counts_and_none_at_all_is_said(setup, tmp_path):
    for name in ('python3.10', 'python3.11', 'python3.12', 'python3.13', 'python3'):
        script(tmp_path / 'stubs' / name, '#!/bin/sh\nexit 127\n')  # what a version manager leaves
    path = f'{tmp_path}/stubs:{os.environ["PATH"]}'
    variables = {'PYTHON': '', 'PATH': path, 'PYENV_ROOT': str(tmp_path)}
    refused(tmp_path, setup(**variables), 'no Python that fits', 'apt install python3-venv')
    script(tmp_path / 'versions' / '3.11.7' / 'bin' / 'python', PYTHON)
    refused(tmp_path, setup(**{**variables, 'PYTHON': '3.12'}), 'no Python 3.12 that fits')
    status, shown = setup(**{**variables, 'PYTHON': '3.11'})
    assert status == 0, shown
    status, shown = setup(**variables, VENV=str(tmp_path / 'other'))
    assert status == 0, shown


def test_a_missing_compiler_is_said(setup, tmp_path):
    refused(tmp_path, setup(CXX='no-such-c++'), 'no C++ compiler: no-such-c++', 'apt install g++')


def test_missing_headers_are_said(setup, tmp_path):
    old = script(tmp_path / 'c++', '#!/bin/sh\necho Python.h: No such file >&2\nexit 1\n')
    refused(tmp_path, setup(CXX=str(old)), 'Python.h: No such file', 'python3-dev')


def test_a_full_disk_is_said(setup, tmp_path):
    script(tmp_path / 'full' / 'df', DISK.format(3))
    full = setup(PATH=f'{tmp_path}/full:{os.environ["PATH"]}')
    refused(tmp_path, full, '3 GB are free', '12 GB are needed', 'VENV=')


# --- the work


def test_a_row_of_the_matrix_brings_its_own_constraints_and_extras(setup, tmp_path):
    pins = tmp_path / 'pins.txt'
    pins.write_text('torch==2.1.2\nmmcv==2.1.0\n')
    status, shown = setup(CONSTRAINTS=str(pins), EXTRAS='test')
    assert status == 0, shown
    assert calls(tmp_path, f'-c {pins} torch torchvision')
    assert calls(tmp_path, f'-c {pins} mmengine mmdet openmim opencv-python -e .[test]')


def test_a_second_call_does_no_work(setup, tmp_path):
    status, shown = setup()
    assert status == 0, shown
    assert 'about 5 minutes' in shown
    assert '8 of 77 files compiled' in shown
    assert wheels(tmp_path) == [KEY]
    before = calls(tmp_path)
    status, shown = setup()
    assert (status, calls(tmp_path)) == (0, before), shown


def test_an_interrupted_compilation_goes_on_and_nothing_before_is_repeated(setup, tmp_path):
    status, shown = setup(BREAKS='1')
    assert status != 0
    assert 'The next call goes on from here' in shown
    assert not wheels(tmp_path)
    (tmp_path / 'calls').write_text('')
    status, shown = setup()
    assert status == 0, shown
    assert not calls(tmp_path, 'download')
    assert not calls(tmp_path, 'torchvision')


def test_a_wheel_in_the_cache_is_used_and_one_that_does_not_work_replaced(setup, tmp_path):
    kept = tmp_path / 'cache' / 'msrcnn_plugin' / 'wheels' / KEY / 'mmcv-2.1.0-cp311.whl'
    kept.parent.mkdir(parents=True)
    kept.write_text('cut short')
    status, shown = setup()
    assert status == 0, shown
    assert 'does not work here and is deleted' in shown
    assert kept.read_text() == 'sound\n'
    assert len(calls(tmp_path, 'pip wheel')) == 1
    status, shown = setup(VENV=str(tmp_path / 'other'))
    assert status == 0, shown
    assert f'compiled before: {kept}' in shown
    assert len(calls(tmp_path, 'pip wheel')) == 1


def test_a_compiled_wheel_that_does_not_work_is_not_kept(setup, tmp_path):
    status, shown = setup(COMPILED='broken')
    assert status != 0
    assert 'its operators do not run' in shown
    assert not wheels(tmp_path)


def test_an_environment_keeps_its_host(setup, tmp_path):
    assert setup('HOST=openmmlab')[0] == 0
    status, shown = setup('HOST=onedl')
    assert status != 0
    assert 'was made with HOST=openmmlab' in shown
    assert setup('HOST=else', VENV=str(tmp_path / 'other'))[1].count('HOST=else is unknown') == 1
    assert setup(HOST='name-of-the-machine')[0] == 0


def test_a_folder_of_somebody_else_is_left_alone(setup, tmp_path):
    (tmp_path / 'venv').mkdir()
    (tmp_path / 'venv' / 'thesis.tex').touch()
    assert 'was not made by this set-up' in setup()[1]
    assert [file.name for file in (tmp_path / 'venv').iterdir()] == ['thesis.tex']
