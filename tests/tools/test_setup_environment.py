import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tools import setup_environment as setup
from tools.setup_environment import Environment, MmcvTarget, SetupError, Step

ROOT = Path(__file__).parents[2]
TARGET = MmcvTarget('2.1.0', '2.11.0+cu130', 'cp311', 'cpu', 'linux-x86_64')


@pytest.fixture
def environment(tmp_path):
    """A folder that is ours, with this interpreter in the place of its own."""
    made = Environment(tmp_path / 'venv', tmp_path / 'cache')
    made.state.mkdir(parents=True)
    (made.venv / 'bin').mkdir()
    Path(made.python).symlink_to(sys.executable)
    return made


# --- before the long work


@pytest.mark.parametrize(
    ('version', 'words'),
    [((3, 8), 'Python 3.8 is too old'), ((3, 12), 'Python 3.12 is too new'), ((3, 11), None)],
)
def test_interpreters_from_3_9_to_3_11_are_taken(version, words):
    problem = setup.interpreter_problem(version)
    if words is None:
        assert problem is None
    else:
        assert problem.startswith(words)
        assert 'make test PYTHON=python3.11' in problem


def test_a_wrong_interpreter_is_the_only_thing_said(environment, monkeypatch):
    monkeypatch.setattr(setup.sys, 'version_info', (3, 13, 0))
    monkeypatch.setenv('PATH', '')
    (problem,) = setup.problems(environment)
    assert 'Python 3.13 is too new' in problem


def test_missing_tools_are_all_named_at_once(environment, monkeypatch):
    monkeypatch.setenv('PATH', '')
    monkeypatch.delenv('CXX', raising=False)
    found = '\n'.join(setup.problems(environment))
    assert 'git is not on the path' in found
    assert 'make is not on the path' in found
    assert 'no C++ compiler: c++ is not on the path' in found
    assert 'apt install g++' in found


def test_a_compiler_without_c17_or_headers_is_shown_in_its_own_words(monkeypatch, tmp_path):
    compiler = tmp_path / 'old-c++'
    compiler.write_text('#!/bin/sh\necho "unrecognized -std=c++17" >&2\nexit 1\n')
    compiler.chmod(0o755)
    monkeypatch.setenv('CXX', str(compiler))
    problem = setup.compiler_problem()
    assert 'unrecognized -std=c++17' in problem
    assert '-dev' in problem


def test_a_working_compiler_is_no_problem(monkeypatch, tmp_path):
    compiler = tmp_path / 'new-c++'
    compiler.write_text('#!/bin/sh\ncat > "$0.source"\n')
    compiler.chmod(0o755)
    monkeypatch.setenv('CXX', str(compiler))
    assert setup.compiler_problem() is None
    assert '#include <Python.h>' in Path(f'{compiler}.source').read_text()


def free_disk(monkeypatch, gigabytes):
    usage = SimpleNamespace(free=gigabytes * 1e9)
    monkeypatch.setattr(setup.shutil, 'disk_usage', lambda folder: usage)


def test_the_needs_of_one_disk_add_up_and_are_stated(environment, monkeypatch):
    free_disk(monkeypatch, 7.5)
    monkeypatch.setattr(setup.tempfile, 'gettempdir', lambda: str(environment.venv))
    problem = setup.disk_problem(environment)
    assert problem.startswith('7.5 GB free')
    assert 'environment and temporary files and cache need 12 GB' in problem


def test_enough_disk_is_no_problem(environment, monkeypatch):
    free_disk(monkeypatch, 12.5)
    assert setup.disk_problem(environment) is None


def test_disk_is_not_asked_for_again_once_torch_is_there(environment, monkeypatch):
    free_disk(monkeypatch, 0.1)
    assert any('GB free' in problem for problem in setup.problems(environment))
    torch = environment.venv / 'lib' / 'python3.11' / 'site-packages' / 'torch'
    torch.mkdir(parents=True)
    (torch / 'version.py').touch()
    assert not any('GB free' in problem for problem in setup.problems(environment))


def test_nothing_starts_before_the_machine_is_fit(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(setup, 'problems', lambda environment: ['no compiler', 'no disk'])
    monkeypatch.setattr(setup, 'STEPS', (Step('never', 'never', pytest.fail),))
    assert setup.main(['--venv', str(tmp_path / 'venv')]) == 1
    assert '  - no compiler\n  - no disk\n' in capsys.readouterr().err
    assert not (tmp_path / 'venv').exists()


# --- steps, resumed and not repeated


@pytest.fixture
def fit(monkeypatch):
    monkeypatch.setattr(setup, 'problems', lambda environment: [])


def recording_steps(monkeypatch, log, failing=()):
    """Steps a, b, c that note their call; the ones in ``failing`` are interrupted."""

    def step(name):
        def work(environment):
            log.append(name)
            if name in failing:
                raise KeyboardInterrupt

        return Step(name, name, work)

    monkeypatch.setattr(setup, 'STEPS', tuple(map(step, 'abc')))


def test_an_interrupted_set_up_goes_on_and_a_finished_one_does_nothing(fit, tmp_path, monkeypatch):
    log, call = [], ['--venv', str(tmp_path / 'venv')]
    recording_steps(monkeypatch, log, failing={'b'})
    assert setup.main(call) == 130
    assert log == ['a', 'b']
    recording_steps(monkeypatch, log)
    assert setup.main(call) == 0
    assert log == ['a', 'b', 'b', 'c']
    assert setup.main(call) == 0
    assert log == ['a', 'b', 'b', 'c']


def test_a_step_done_again_takes_the_later_ones_along(fit, environment, monkeypatch):
    log = []
    recording_steps(monkeypatch, log)
    setup.set_up(environment)
    environment.forget('b')
    setup.set_up(environment)
    assert log == ['a', 'b', 'c', 'b', 'c']


def test_other_constraints_make_every_step_due(fit, environment, monkeypatch, tmp_path):
    log, constraints = [], tmp_path / 'constraints.txt'
    constraints.write_text('torch==2.11.0\n')
    monkeypatch.setattr(setup, 'INPUTS', (constraints,))
    recording_steps(monkeypatch, log)
    setup.set_up(environment)
    constraints.write_text('torch==2.12.0\n')
    setup.set_up(environment)
    assert log == [*'abc', *'abc']


def test_a_failed_command_shows_its_last_words_and_the_log(fit, tmp_path, monkeypatch, capsys):
    def work(environment):
        environment.run('/bin/sh', '-c', 'echo no such wheel; exit 3')

    monkeypatch.setattr(setup, 'STEPS', (Step('a', 'a', work),))
    assert setup.main(['--venv', str(tmp_path / 'venv')]) == 1
    shown = capsys.readouterr().err
    assert 'no such wheel' in shown
    assert 'failed with status 3' in shown
    assert f'the whole log: {tmp_path}/venv/.setup/setup.log' in shown


def test_two_set_ups_in_one_folder_take_turns(tmp_path, monkeypatch):
    order, waits = [], threading.Event()

    def said(text):
        assert 'another set-up is at work' in text
        waits.set()

    def second():
        with setup.alone_in(tmp_path):
            order.append('second')

    monkeypatch.setattr(setup, 'say', said)
    thread = threading.Thread(target=second)
    with setup.alone_in(tmp_path):
        thread.start()
        assert waits.wait(30)
        order.append('first')
    thread.join(30)
    assert order == ['first', 'second']


# --- commands


def test_commands_see_this_environment_and_nothing_of_the_callers(environment, monkeypatch):
    monkeypatch.setenv('PYTHONPATH', '/elsewhere')
    environment.run(
        '/bin/sh', '-c', 'echo "<$PYTHONPATH> ${PATH%%:*} $EXTRA"', extra={'EXTRA': '1'}
    )
    assert f'<> {environment.venv}/bin 1' in environment.log.read_text()


def test_an_interruption_takes_the_processes_of_the_process_along(environment):
    """pip's compilers would otherwise go on beside the next set-up."""
    pids = []

    def interrupt(line):
        pids.append(int(line))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        environment.run('/bin/sh', '-c', 'sleep 60 & echo $!; wait', watch=interrupt)
    assert ends(pids[0])


def ends(pid, seconds=20):
    """Whether the process is gone, or a zombie nobody has read yet, before the time is up."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        stat = Path(f'/proc/{pid}/stat')
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if stat.read_text().rpartition(')')[2].split()[0] != 'Z':
                time.sleep(0.05)
                continue
        return True
    return False


def test_only_large_downloads_are_shown(capsys):
    setup.say_download('Downloading torch-2.11.0-cp311.whl (530.6 MB)\n')
    setup.say_download('  Downloading six-1.17.0.whl (11 kB)\n')
    setup.say_download('Requirement already satisfied: six\n')
    assert capsys.readouterr().out == '      downloading torch-2.11.0-cp311.whl, 530.6 MB\n'


# --- the virtual environment


def test_a_broken_environment_is_made_anew_and_a_sound_one_left_alone(environment):
    Path(environment.python).unlink()
    (environment.venv / 'lib').symlink_to('/nowhere')
    (environment.state / 'half-built').touch()
    assert not setup.is_usable(environment)
    setup.make_venv(environment)
    assert setup.is_usable(environment)
    assert (environment.state / 'half-built').exists()
    logged = environment.log.read_text()
    setup.make_venv(environment)
    assert environment.log.read_text() == logged


def test_a_folder_of_somebody_else_is_left_alone(tmp_path):
    venv = tmp_path / 'venv'
    venv.mkdir()
    (venv / 'thesis.tex').touch()
    with pytest.raises(SetupError, match='was not made by this set-up'):
        setup.claim(Environment(venv, tmp_path / 'cache'))
    assert [file.name for file in venv.iterdir()] == ['thesis.tex']


# --- mmcv: which one


def test_the_key_tells_apart_everything_a_wheel_depends_on():
    others = {
        'mmcv': '2.2.0',
        'torch': '2.11.0+cpu',
        'python': 'cp310',
        'device': 'cu130-sm90',
        'machine': 'linux-aarch64',
    }
    keys = {dataclasses.replace(TARGET, **{name: other}).key for name, other in others.items()}
    assert len({*keys, TARGET.key}) == 6


@pytest.mark.parametrize(
    ('cuda', 'gpus', 'nvcc', 'device'),
    [
        (None, [], None, 'cpu'),
        ('13.0', [], '13.0', 'cpu'),
        ('13.0', ['90'], None, 'cpu'),
        ('13.0', ['90'], '12.8', 'cpu'),
        ('13.0', ['90'], '13.1', 'cu130-sm90'),
        ('12.8', ['80', '90'], '12.4', 'cu128-sm80-90'),
    ],
)
def test_cuda_needs_a_gpu_and_an_nvcc_that_fits(cuda, gpus, nvcc, device):
    assert setup.device_of(cuda, gpus, nvcc) == device


def test_a_gpu_without_nvcc_is_said(capsys):
    setup.device_of('13.0', ['90'], None)
    assert "mmcv's operators will run on the CPU only" in capsys.readouterr().out


def test_for_the_cpu_the_gpu_is_hidden_from_mmcv():
    variables = setup.compile_variables(TARGET, jobs=2)
    assert variables['CUDA_VISIBLE_DEVICES'] == ''
    assert variables['CFLAGS'].endswith('-g0')
    assert variables['MMCV_WITH_OPS'] == '1'


def test_for_cuda_it_is_not_and_cuda_is_demanded():
    target = dataclasses.replace(TARGET, device='cu130-sm90')
    variables = setup.compile_variables(target, jobs=2)
    assert variables['FORCE_CUDA'] == '1'
    assert 'CUDA_VISIBLE_DEVICES' not in variables


def test_the_constraints_pin_mmcv_and_an_unpinned_name_is_an_error():
    assert setup.pinned('mmcv') == '2.1.0'
    with pytest.raises(SetupError, match='pins no setuptools'):
        setup.pinned('setuptools')


# --- mmcv: from where


@pytest.fixture
def wheels(environment, monkeypatch):
    """`install_mmcv` with pip noted, and wheels that work when their content says so."""
    log = []
    monkeypatch.setattr(setup, 'mmcv_target', lambda environment: TARGET)
    monkeypatch.setattr(Environment, 'pip', lambda self, *args: log.append(Path(args[-1])))
    monkeypatch.setattr(setup, 'works', lambda *_: bool(log) and log[-1].read_text() == 'sound')
    monkeypatch.setattr(setup, 'prebuilt_wheel', lambda *_: None)
    return log


def put_wheel(environment, text):
    wheel = environment.cache / TARGET.key / 'mmcv-2.1.0-py3-none-any.whl'
    wheel.parent.mkdir(parents=True, exist_ok=True)
    wheel.write_text(text)
    return wheel


def test_a_wheel_in_the_cache_is_not_compiled_again(environment, wheels, monkeypatch):
    monkeypatch.setattr(setup, 'compiled_wheel', pytest.fail)
    wheel = put_wheel(environment, 'sound')
    setup.install_mmcv(environment)
    assert wheels == [wheel]
    setup.install_mmcv(environment)
    assert wheels == [wheel]


def test_a_wheel_whose_operators_do_not_run_is_replaced(environment, wheels, monkeypatch, capsys):
    monkeypatch.setattr(setup, 'compiled_wheel', lambda *_: put_wheel(environment, 'sound'))
    wheel = put_wheel(environment, 'broken')
    setup.install_mmcv(environment)
    assert len(wheels) == 2
    assert wheel.read_text() == 'sound'
    assert 'does not work here: it is deleted' in capsys.readouterr().out


def test_a_wheel_cut_short_is_replaced(environment, monkeypatch):
    """Really given to pip, which refuses a file that is no archive (and would touch nothing)."""
    monkeypatch.setenv('PIP_DRY_RUN', '1')
    with_site_packages(environment)
    monkeypatch.setattr(setup, 'mmcv_target', lambda environment: TARGET)
    monkeypatch.setattr(setup, 'prebuilt_wheel', lambda *_: None)
    monkeypatch.setattr(setup, 'compiled_wheel', lambda *_: pytest.fail('compiles'))
    wheel = put_wheel(environment, 'PK')
    with pytest.raises(pytest.fail.Exception, match='compiles'):
        setup.install_mmcv(environment)
    assert not wheel.exists()
    assert 'is invalid' in environment.log.read_text()


def test_a_compiled_wheel_that_does_not_work_is_an_error_and_not_kept(
    environment, wheels, monkeypatch
):
    monkeypatch.setattr(setup, 'compiled_wheel', lambda *_: put_wheel(environment, 'broken'))
    with pytest.raises(SetupError, match='its operators do not run with torch'):
        setup.install_mmcv(environment)
    assert not list(environment.cache.rglob('*.whl'))


def with_site_packages(environment):
    """A link to Python sees no packages; a script that starts it by its own name sees them."""
    python = Path(environment.python)
    python.unlink()
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return environment


def test_an_environment_without_operators_does_not_work(environment):
    assert setup.works(environment, TARGET) is False
    assert 'No module named' in environment.log.read_text()


def test_operators_are_really_run(environment):
    assert setup.works(with_site_packages(environment), TARGET) is True


def test_the_target_is_the_torch_that_is_installed(environment):
    target = setup.mmcv_target(with_site_packages(environment))
    assert target.torch == torch.__version__
    assert target.mmcv == '2.1.0'
    assert target.cuda <= torch.cuda.is_available()


@pytest.mark.parametrize(('home', 'cache'), [('/big', '/big'), ('', str(Path.home() / '.cache'))])
def test_the_cache_is_where_caches_are(monkeypatch, home, cache):
    monkeypatch.setenv('XDG_CACHE_HOME', home)
    assert setup.default_cache() == Path(cache, 'msrcnn_plugin', 'wheels')


def test_a_wheel_is_moved_into_the_cache_whole(environment, tmp_path):
    folder = tmp_path / 'built'
    folder.mkdir()
    (folder / 'mmcv-2.1.0-cp311.whl').write_text('wheel')
    kept = setup.keep(environment, TARGET, folder)
    assert kept == environment.cache / TARGET.key / 'mmcv-2.1.0-cp311.whl'
    assert [file.name for file in kept.parent.iterdir()] == [kept.name]
    assert setup.cached_wheel(environment, TARGET) == kept


def test_an_interrupted_build_keeps_its_object_files(environment, monkeypatch):
    """The sdist is fetched once; the tree in which ninja goes on stays where it is."""
    fetched = []

    def pip(self, *arguments, **options):
        fetched.append(arguments)
        folder = setup.build_folder(environment, TARGET)
        tree = folder / 'mmcv-2.1.0'
        tree.mkdir(parents=True)
        (tree / 'setup.py').touch()
        subprocess.run(['tar', '-czf', 'mmcv-2.1.0.tar.gz', tree.name], cwd=folder, check=True)
        (tree / 'setup.py').unlink()
        tree.rmdir()

    monkeypatch.setattr(Environment, 'pip', pip)
    folder = setup.build_folder(environment, TARGET)
    tree = setup.unpacked_sdist(environment, folder, TARGET)
    (tree / 'nms.o').touch()
    assert setup.unpacked_sdist(environment, folder, TARGET) == tree
    assert (tree / 'nms.o').exists()
    assert (tree / 'setup.py').exists()
    assert len(fetched) == 1


def test_progress_is_a_line_for_each_tenth(capsys):
    progress = setup.Progress()
    for number in range(1, 78):
        progress(f'  [{number}/77] c++ -MMD -c nms.cpp\n')
        progress('  warning: unused variable [-Wunused]\n')
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    assert lines[-1].strip().startswith('77/77 files compiled')


# --- OpenMMLab's index


@pytest.fixture
def index(monkeypatch):
    """An index on this machine, which answers once it is ``ready``."""
    served = SimpleNamespace(page='', ready=threading.Event())
    served.ready.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            served.ready.wait(30)
            with contextlib.suppress(BrokenPipeError):
                self.send_response(200 if served.page else 404)
                self.end_headers()
                self.wfile.write(served.page.encode())

        def log_message(self, *_):
            pass

    server = HTTPServer(('127.0.0.1', 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    url = f'http://127.0.0.1:{server.server_port}/{{device}}/torch{{torch}}.0'
    monkeypatch.setattr(setup, 'OPENMMLAB_INDEX', url)
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    yield served
    served.ready.set()
    server.shutdown()
    server.server_close()


WHEEL_LINK = '<a href="mmcv-2.1.0-cp311-cp311-manylinux1_x86_64.whl">'


def test_a_fitting_wheel_of_the_index_is_fetched(environment, index, monkeypatch):
    def pip(self, *arguments):
        assert arguments[:2] == ('download', '--no-deps')
        Path(arguments[-2], 'mmcv-2.1.0-cp311.whl').write_text(arguments[-4])

    monkeypatch.setattr(Environment, 'pip', pip)
    index.page = WHEEL_LINK
    wheel = setup.prebuilt_wheel(environment, TARGET)
    assert wheel.parent.name == TARGET.key
    assert wheel.read_text().endswith('/cpu/torch2.11.0')


@pytest.mark.parametrize('page', ['', WHEEL_LINK.replace('cp311', 'cp38')], ids=['404', 'cp38'])
def test_an_index_without_one_is_passed_over(environment, index, monkeypatch, page):
    monkeypatch.setattr(Environment, 'pip', pytest.fail)
    index.page = page
    assert setup.prebuilt_wheel(environment, TARGET) is None


def test_a_slow_index_is_not_waited_for(environment, index, monkeypatch):
    monkeypatch.setattr(setup, 'INDEX_SECONDS', 0.2)
    index.page = WHEEL_LINK
    index.ready.clear()
    started = time.monotonic()
    assert setup.prebuilt_wheel(environment, TARGET) is None
    assert time.monotonic() - started < 10


# --- make


def make(*arguments, **variables):
    command = ['make', '--no-print-directory', *arguments]
    return subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **variables},
    )


@pytest.mark.parametrize('goal', ['setup', 'test', 'demo', 'lint', 'bench'])
def test_every_command_makes_the_environment_where_it_is_missing(tmp_path, goal):
    done = make('-n', goal, f'VENV={tmp_path}/venv', f'PYTHON={sys.executable}')
    assert done.returncode == 0, done.stderr
    assert f'setup_environment.py --venv "{tmp_path}/venv"' in done.stdout


def test_and_only_there(tmp_path):
    state = tmp_path / 'venv' / '.setup'
    state.mkdir(parents=True)
    (state / 'finished').touch()
    done = make('-n', 'test', f'VENV={tmp_path}/venv')
    assert 'setup_environment.py' not in done.stdout
    assert '-m pytest' in done.stdout


def test_the_interpreter_is_chosen_among_those_that_run(tmp_path):
    """A version manager leaves a python3.11 on the path that only says it is not installed."""
    stub, real = tmp_path / 'python3.11', tmp_path / 'python3'
    stub.write_text('#!/bin/sh\nexit 127\n')
    stub.chmod(0o755)
    real.symlink_to(sys.executable)
    done = make(
        '-n', 'setup', f'VENV={tmp_path}/venv', PATH=f'{tmp_path}{os.pathsep}{os.environ["PATH"]}'
    )
    assert '\npython3 tools/setup_environment.py' in done.stdout


def test_a_terminated_set_up_ends_with_a_word(tmp_path):
    """SIGTERM, from a job's time limit or a closed terminal, is an interruption like Ctrl-C."""
    code = (
        'import sys, time; from tools import setup_environment as s\n'
        's.set_up = lambda environment: (print("at work", flush=True), time.sleep(60))\n'
        'sys.exit(s.main(["--venv", sys.argv[1]]))'
    )
    with subprocess.Popen(
        [sys.executable, '-c', code, str(tmp_path / 'venv')],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as child:  # fmt: skip
        assert child.stdout.readline() == 'at work\n'
        child.send_signal(signal.SIGTERM)
        _, shown = child.communicate(timeout=20)
    assert child.returncode == 130
    assert 'the next call goes on from here' in shown
