"""Make the environment of this checkout: torch, mmdet, mmcv with its operators, mim, the tests.

`make setup` calls it. It runs on nothing but the standard library of the interpreter that the
environment is made from. Each step leaves a stamp: an interrupted set-up goes on where it
stopped, a finished one has nothing to do.

mmcv is why this is a program. Its wheels end at torch 2.1, so it is compiled here, once for each
torch, Python and CPU or CUDA, and kept in a cache of its own: pip's knows a wheel by name and
Python only, and would hand it to another torch.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import math
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONSTRAINTS = ROOT / 'constraints.txt'
# Whatever decides what is installed, and how.
INPUTS = (CONSTRAINTS, ROOT / 'setup.py', Path(__file__).resolve())

PYTHONS = ((3, 9), (3, 10), (3, 11))
BUILD_TOOLS = ('setuptools>=70.1,<81', 'wheel', 'ninja')
OPENMMLAB_INDEX = 'https://download.openmmlab.com/mmcv/dist/{device}/torch{torch}.0/index.html'
INDEX_SECONDS = 5
# Measured with torch 2.11: the environment, what pip unpacks on the way, what it and we keep.
GIGABYTES = {'environment': 6.0, 'temporary files': 3.0, 'cache': 3.0}
# Measured on 2 cores: 77 files of C++ in 5 minutes.
CORE_MINUTES_FOR_MMCV = 10


class SetupError(Exception):
    """Something that the user has to know or mend; shown without a traceback."""


def say(text: str) -> None:
    print(text, flush=True)


def duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f'{minutes} min {rest} s' if minutes else f'{rest} s'


# --- before the long work


def problems(environment: Environment) -> list[str]:
    """Everything that is missing, each with what to do; empty where the work can start."""
    interpreter = interpreter_problem(sys.version_info[:2])
    if interpreter:
        # What the wrong interpreter lacks besides is of no interest.
        return [interpreter]
    found = [missing_tool(name) for name in ('git', 'make')]
    found += [missing_venv_module(), compiler_problem()]
    if not environment.has_torch():
        found.append(disk_problem(environment))
    return [problem for problem in found if problem]


def interpreter_problem(version: tuple[int, int]) -> str | None:
    if version in PYTHONS:
        return None
    given = '.'.join(map(str, version))
    new = 'is too new: the setuptools that openmim needs does not import on it'
    reason = 'is too old' if version < PYTHONS[0] else new
    return (
        f'Python {given} {reason}. Expected 3.9, 3.10 or 3.11: name one with PYTHON=, such as '
        '`make test PYTHON=python3.11`'
    )


def missing_tool(name: str) -> str | None:
    if shutil.which(name):
        return None
    return f'{name} is not on the path. Install it (Debian, Ubuntu: apt install {name})'


def missing_venv_module() -> str | None:
    """Debian keeps a part of the standard library in a package of its own."""
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError as error:
        name = f'python{sys.version_info[0]}.{sys.version_info[1]}-venv'
        return f'{error}. Install it (Debian, Ubuntu: apt install {name})'
    return None


def compiler_problem() -> str | None:
    """Whether C++17 with Python's headers compiles, which is what mmcv asks for."""
    compiler = os.environ.get('CXX', 'c++')
    if not shutil.which(compiler.split()[0]):
        return (
            f'no C++ compiler: {compiler} is not on the path. Install one '
            '(Debian, Ubuntu: apt install g++) or name it in CXX'
        )
    command = [*compiler.split(), '-std=c++17', '-fsyntax-only', '-x', 'c++', '-']
    command.append('-I' + sysconfig.get_paths()['include'])
    source = '#include <Python.h>\n#include <optional>\nstd::optional<int> unused;\n'
    done = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    name = f'python{sys.version_info[0]}.{sys.version_info[1]}-dev'
    first = (done.stderr.strip().splitlines() or ['no message'])[0]
    return (
        f'{compiler} does not compile C++17 with Python.h: {first}. Install a newer compiler, or '
        f"the interpreter's headers (Debian, Ubuntu: apt install {name})"
    )


def disk_problem(environment: Environment) -> str | None:
    """Needs of folders on one disk add up."""
    folders = {
        'environment': environment.venv,
        'temporary files': Path(tempfile.gettempdir()),
        'cache': environment.cache,
    }
    on_disk: dict[int, list[str]] = {}
    for use, folder in folders.items():
        on_disk.setdefault(existing(folder).stat().st_dev, []).append(use)
    for uses in on_disk.values():
        folder = existing(folders[uses[0]])
        needed = sum(GIGABYTES[use] for use in uses)
        free = shutil.disk_usage(folder).free / 1e9
        if free < needed:
            return (
                f'{free:.1f} GB free on the disk of {folder}, but {" and ".join(uses)} need '
                f'{needed:.0f} GB. Free some, or move them (VENV=, TMPDIR=, XDG_CACHE_HOME=)'
            )
    return None


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return folder


# --- the environment and how commands run in it


@dataclass(frozen=True)
class Environment:
    """The folder of the environment, and the cache of wheels that outlives it."""

    venv: Path
    cache: Path

    @property
    def python(self) -> str:
        return str(self.venv / 'bin' / 'python')

    @property
    def state(self) -> Path:
        """Stamps, the log and a half-built mmcv; also the mark that the folder is ours."""
        return self.venv / '.setup'

    @property
    def log(self) -> Path:
        return self.state / 'setup.log'

    def is_done(self, step: str) -> bool:
        stamp = self.state / step
        return stamp.is_file() and stamp.read_text() == fingerprint()

    def mark(self, step: str) -> None:
        (self.state / step).write_text(fingerprint())

    def forget(self, step: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            (self.state / step).unlink()

    def has_torch(self) -> bool:
        return any(self.venv.glob('lib/python*/site-packages/torch/version.py'))

    def variables(self) -> dict[str, str]:
        """What commands see: this environment alone, whatever the caller's shell has set."""
        leaks = ('PYTHONPATH', 'PYTHONHOME', 'PIP_TARGET', 'PIP_PREFIX', 'PIP_CONSTRAINT')
        variables = {name: value for name, value in os.environ.items() if name not in leaks}
        path = str(self.venv / 'bin') + os.pathsep + variables.get('PATH', os.defpath)
        pip = {'PIP_USER': '0', 'PIP_NO_INPUT': '1', 'PIP_DISABLE_PIP_VERSION_CHECK': '1'}
        return {**variables, **pip, 'PATH': path, 'VIRTUAL_ENV': str(self.venv)}

    def run(
        self,
        *command: str,
        extra: dict[str, str] | None = None,
        watch: Callable[[str], None] = lambda line: None,
    ) -> None:
        """Run a command; its output goes to the log, and line by line to ``watch``."""
        with self.log.open('a') as log:
            log.write(f'\n$ {" ".join(command)}\n')
            with process(command, {**self.variables(), **(extra or {})}) as child:
                for line in child.stdout:
                    log.write(line)
                    log.flush()
                    watch(line)
            log.write(f'# status {child.returncode}\n')
        if child.returncode:
            raise SetupError(self.failure(command, child.returncode))

    def failure(self, command: Sequence[str], status: int) -> str:
        lines = self.log.read_text(errors='replace').splitlines()[-25:]
        called = ' '.join(command)[:200]
        return '\n'.join(
            [
                *(line[:200] for line in lines),
                '',
                f'`{called}` failed with status {status}',
                f'the whole log: {self.log}',
            ]
        )

    def pip(self, *arguments: str, **options) -> None:
        self.run(self.python, '-m', 'pip', *arguments, **options)

    def install(self, *requirements: str) -> None:
        """Under the constraints. Byte code is left to the first import, which needs less of it."""
        settings = ('--no-compile', '-c', str(CONSTRAINTS))
        self.pip('install', *settings, *requirements, watch=say_download)

    def ask(self, code: str) -> dict:
        """What a line of Python prints as JSON inside the environment."""
        done = subprocess.run(
            [self.python, '-c', code],
            env=self.variables(),
            cwd=self.state,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SetupError(
                f'{done.stderr.strip()}\n\nthe environment {self.venv} is damaged: delete it and '
                'call make again'
            )
        return json.loads(done.stdout.splitlines()[-1])


@contextlib.contextmanager
def process(command: Sequence[str], variables: dict[str, str]) -> Iterator[subprocess.Popen]:
    """A process that does not outlive us, its own children (ninja, compilers) included."""
    child = subprocess.Popen(
        command,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors='replace',
        start_new_session=True,
    )
    try:
        yield child
        child.wait()
    finally:
        child.stdout.close()
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGTERM)
            child.wait()


def say_download(line: str) -> None:
    """Large downloads are worth a line; a list of requirements is not."""
    match = re.match(r'\s*Downloading (\S+) \(([\d.]+) MB\)', line)
    if match and float(match[2]) >= 20:
        say(f'      downloading {match[1].rsplit("/", 1)[-1]}, {match[2]} MB')


def fingerprint() -> str:
    """Equal as long as another set-up with this interpreter would install the same."""
    digest = hashlib.sha256(repr(sys.version_info[:3]).encode())
    for file in INPUTS:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def pinned(name: str) -> str:
    """The version of a package that the constraints hold for every Python."""
    match = re.search(rf'^{name}==(\S+)$', CONSTRAINTS.read_text(), re.MULTILINE)
    if match is None:
        raise SetupError(f'{CONSTRAINTS} pins no {name}; expected a line `{name}==VERSION`')
    return match[1]


# --- the steps


def make_venv(environment: Environment) -> None:
    """An environment of this interpreter; one that is broken or of another is made anew."""
    if is_usable(environment):
        return
    for child in environment.venv.iterdir():
        if child == environment.state:
            continue
        if child.is_dir() and not child.is_symlink():
            shutil.rmtree(child)
        else:
            child.unlink()
    environment.run(sys.executable, '-m', 'venv', str(environment.venv))


def is_usable(environment: Environment) -> bool:
    """Of this Python, with a pip that runs."""
    code = 'import sys, pip; print(list(sys.version_info[:3]))'
    try:
        version = environment.ask(code)
    except (SetupError, OSError, ValueError):
        return False
    return version == list(sys.version_info[:3])


def install_torch(environment: Environment) -> None:
    environment.install(*BUILD_TOOLS, 'torch', 'torchvision', 'numpy')


def install_packages(environment: Environment) -> None:
    """mmdet, what the tests need, and this checkout, which is built by the setuptools at hand."""
    this = ('--no-build-isolation', '-e', f'{ROOT}[dev]')
    environment.install(*BUILD_TOOLS, 'mmengine', 'mmdet', *this)


def install_mim(environment: Environment) -> None:
    """Last: it takes setuptools down to a version that builds neither mmcv nor this package."""
    environment.install('openmim')


def install_mmcv(environment: Environment) -> None:
    """From the cache, from OpenMMLab's index, or compiled; the first one that works is kept."""
    target = mmcv_target(environment)
    installed = environment.state / 'mmcv-key'
    if installed.is_file() and installed.read_text() == target.key and works(environment, target):
        return
    for source in (cached_wheel, prebuilt_wheel, compiled_wheel):
        wheel = source(environment, target)
        if wheel is None:
            continue
        if installs(environment, wheel) and works(environment, target):
            installed.write_text(target.key)
            shutil.rmtree(build_folder(environment, target), ignore_errors=True)
            return
        say(f'      {wheel} does not work here: it is deleted')
        wheel.unlink()
    raise SetupError(
        f'mmcv {target.mmcv} was compiled, but its operators do not run with torch {target.torch}. '
        f'The whole log: {environment.log}'
    )


# --- mmcv


def installs(environment: Environment, wheel: Path) -> bool:
    """Whether pip takes it: a file that a full disk cut short is as bad as a wrong build."""
    try:
        environment.pip(*'install --force-reinstall --no-deps --no-index'.split(), str(wheel))
    except SetupError:
        return False
    return True


@dataclass(frozen=True)
class MmcvTarget:
    """Everything a wheel of mmcv depends on. ``device`` is cpu, or CUDA and GPUs: cu130-sm90."""

    mmcv: str
    torch: str
    python: str
    device: str
    machine: str

    @property
    def key(self) -> str:
        return f'mmcv-{self.mmcv}_torch-{self.torch}_{self.python}_{self.device}_{self.machine}'

    @property
    def cuda(self) -> bool:
        return self.device != 'cpu'


TORCH_FACTS = """
import json, torch
seen = torch.cuda.is_available()
gpus = range(torch.cuda.device_count()) if seen else ()
capabilities = {'%d%d' % torch.cuda.get_device_capability(gpu) for gpu in gpus}
facts = {'torch': torch.__version__, 'cuda': torch.version.cuda, 'gpus': sorted(capabilities)}
print(json.dumps(facts))
"""
ROI_ALIGN = """
import torch
from mmcv.ops import roi_align
for device in {devices}:
    roi = torch.tensor([[0., 1, 1, 5, 5]], device=device)
    assert roi_align(torch.ones(1, 1, 8, 8, device=device), roi, 2).sum() == 4
print('true')
"""


def mmcv_target(environment: Environment) -> MmcvTarget:
    facts = environment.ask(TORCH_FACTS)
    return MmcvTarget(
        mmcv=pinned('mmcv'),
        torch=facts['torch'],
        python=f'cp{sys.version_info[0]}{sys.version_info[1]}',
        device=device_of(facts['cuda'], facts['gpus'], nvcc_version()),
        machine=f'{platform.system()}-{platform.machine()}'.lower(),
    )


def device_of(cuda: str | None, gpus: Sequence[str], nvcc: str | None) -> str:
    """CUDA where torch sees a GPU and an nvcc of torch's own major version can compile for it."""
    if not gpus or cuda is None:
        return 'cpu'
    if nvcc is None or nvcc.split('.')[0] != cuda.split('.')[0]:
        found = f'nvcc {nvcc}' if nvcc else 'no nvcc'
        say(
            f'      torch sees a GPU, but {found} is on the path; expected one of CUDA {cuda}. '
            "mmcv's operators will run on the CPU only"
        )
        return 'cpu'
    return f'cu{cuda.replace(".", "")}-sm{"-".join(gpus)}'


def nvcc_version() -> str | None:
    if not shutil.which('nvcc'):
        return None
    done = subprocess.run(['nvcc', '--version'], capture_output=True, text=True, check=False)
    match = re.search(r'release (\d+\.\d+)', done.stdout)
    return match[1] if match else None


def works(environment: Environment, target: MmcvTarget) -> bool:
    """Whether an operator really runs; that the import succeeds would not show a missing kernel."""
    devices = ['cpu', 'cuda'] if target.cuda else ['cpu']
    try:
        return environment.ask(ROI_ALIGN.format(devices=devices))
    except SetupError as error:
        with environment.log.open('a') as log:
            log.write(f'{error}\n')
        return False


def cached_wheel(environment: Environment, target: MmcvTarget) -> Path | None:
    wheel = next((environment.cache / target.key).glob('mmcv-*.whl'), None)
    if wheel:
        say(f'      compiled before: {wheel}')
    return wheel


def prebuilt_wheel(environment: Environment, target: MmcvTarget) -> Path | None:
    """OpenMMLab's own, if its index answers soon and lists one for this torch."""
    torch = '.'.join(target.torch.split('.')[:2])
    url = OPENMMLAB_INDEX.format(device=target.device.split('-')[0], torch=torch)
    if f'mmcv-{target.mmcv}-{target.python}-' not in read_soon(url):
        return None
    say(f'      from {url}')
    with tempfile.TemporaryDirectory() as folder:
        try:
            environment.pip(
                *'download --no-deps --no-index --no-cache-dir --only-binary mmcv'.split(),
                *('--find-links', url, '-d', folder, f'mmcv=={target.mmcv}'),
            )
        except SetupError:
            return None
        return keep(environment, target, Path(folder))


def read_soon(url: str) -> str:
    """The page, or nothing if it has not come within seconds (looking up a name has no limit)."""
    page: list[str] = []

    def read() -> None:
        try:
            with urllib.request.urlopen(url, timeout=INDEX_SECONDS) as answer:
                page.append(answer.read().decode(errors='replace'))
        except (OSError, ValueError):
            return

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(INDEX_SECONDS)
    return ''.join(page)


def compiled_wheel(environment: Environment, target: MmcvTarget) -> Path:
    """From the sdist, without build isolation, in a folder where an interrupted build goes on."""
    folder = build_folder(environment, target)
    source = unpacked_sdist(environment, folder, target)
    jobs = compile_jobs(target)
    minutes = max(1, math.ceil(CORE_MINUTES_FOR_MMCV / jobs))
    longer = ' for the CPU, and longer for CUDA' if target.cuda else ''
    say(
        f'      compiling mmcv {target.mmcv} for torch {target.torch} with {jobs} at a time: about '
        f'{minutes} min{longer}, once; kept in {environment.cache}'
    )
    environment.pip(
        *'wheel --verbose --no-deps --no-build-isolation --no-cache-dir'.split(),
        *('--wheel-dir', str(folder), str(source)),
        extra=compile_variables(target, jobs),
        watch=Progress(),
    )
    return keep(environment, target, folder)


def build_folder(environment: Environment, target: MmcvTarget) -> Path:
    return environment.state / f'build-{target.key}'


def unpacked_sdist(environment: Environment, folder: Path, target: MmcvTarget) -> Path:
    """The source tree; one that is there keeps its object files, and ninja goes on from them."""
    tree = folder / f'mmcv-{target.mmcv}'
    if tree.is_dir():
        return tree
    environment.pip(
        *'download --no-deps --no-build-isolation --no-cache-dir --no-binary mmcv'.split(),
        *('-d', str(folder), f'mmcv=={target.mmcv}'),
    )
    unpacked = folder / 'unpacked'
    shutil.unpack_archive(folder / f'mmcv-{target.mmcv}.tar.gz', unpacked)
    # In one move, so that a tree which is there is a whole one.
    (unpacked / tree.name).replace(tree)
    return tree


def compile_jobs(target: MmcvTarget) -> int:
    """Every core that we may use, as far as each has a gigabyte of memory."""
    if os.environ.get('MAX_JOBS', '').isdigit():
        return int(os.environ['MAX_JOBS'])
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    gigabytes = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9
    return max(1, min(cores or 1, int(gigabytes)))


def compile_variables(target: MmcvTarget, jobs: int) -> dict[str, str]:
    """Without debug information, which takes as long as the rest; CUDA by our own decision."""
    variables = {
        'MMCV_WITH_OPS': '1',
        'MAX_JOBS': str(jobs),
        'CFLAGS': f'{os.environ.get("CFLAGS", "")} -g0'.strip(),
        'CXXFLAGS': f'{os.environ.get("CXXFLAGS", "")} -g0'.strip(),
    }
    if target.cuda:
        return {**variables, 'FORCE_CUDA': '1'}
    # mmcv's setup.py would try CUDA wherever torch sees a GPU, also without an nvcc.
    return {**variables, 'FORCE_CUDA': '0', 'CUDA_VISIBLE_DEVICES': ''}


class Progress:
    """Shows ninja's "[12/77]": in place on a terminal, as a line for each tenth elsewhere."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.tenth = 0

    def __call__(self, line: str) -> None:
        match = re.match(r'\s*\[(\d+)/(\d+)\]', line)
        if not match:
            return
        done, total = int(match[1]), int(match[2])
        text = f'      {done}/{total} files compiled, {duration(time.monotonic() - self.started)}'
        if sys.stdout.isatty():
            print(f'\r{text}', end='\n' if done == total else '', flush=True)
        elif 10 * done // total > self.tenth:
            self.tenth = 10 * done // total
            say(text)


def keep(environment: Environment, target: MmcvTarget, folder: Path) -> Path:
    """Move the one wheel in the folder into the cache, whole or not at all."""
    (wheel,) = folder.glob('mmcv-*.whl')
    kept = environment.cache / target.key / wheel.name
    kept.parent.mkdir(parents=True, exist_ok=True)
    # The cache may be on another disk, where a move is a copy that can be cut short.
    arriving = kept.with_suffix(f'.{os.getpid()}.part')
    shutil.move(str(wheel), str(arriving))
    arriving.replace(kept)
    return kept


# --- all of it


@dataclass(frozen=True)
class Step:
    name: str
    title: str
    work: Callable[[Environment], None]


STEPS = (
    Step('venv', 'an empty environment', make_venv),
    Step('torch', 'torch and torchvision (gigabytes, where pip has not kept them)', install_torch),
    Step('packages', 'mmdet, mmengine, the tests and this package', install_packages),
    Step('mmcv', 'mmcv with its operators', install_mmcv),
    Step('mim', 'openmim', install_mim),
)


def refuse_unfit_machine(environment: Environment) -> None:
    found = problems(environment)
    if found:
        listing = '\n'.join(f'  - {problem}' for problem in found)
        raise SetupError(f'this machine cannot make the environment yet:\n{listing}')


def claim(environment: Environment) -> None:
    """Mark the folder as ours before anything is in it: what is not ours is never written to."""
    venv = environment.venv
    if venv.exists() and any(venv.iterdir()) and not environment.state.is_dir():
        raise SetupError(
            f'{venv} exists and was not made by this set-up. Delete it, or choose another folder '
            'with VENV='
        )
    environment.state.mkdir(parents=True, exist_ok=True)


def set_up(environment: Environment) -> None:
    """Every step that is not done, in order; after one that was, all that follow."""
    started = time.monotonic()
    for number, step in enumerate(STEPS, start=1):
        if environment.is_done(step.name):
            continue
        for later in (*STEPS[number - 1 :], Step('finished', '', make_venv)):
            environment.forget(later.name)
        say(f'[{number}/{len(STEPS)}] {step.title}')
        step_started = time.monotonic()
        step.work(environment)
        environment.mark(step.name)
        say(f'      {duration(time.monotonic() - step_started)}')
    environment.mark('finished')
    say(f'{environment.venv} is ready, after {duration(time.monotonic() - started)}')


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Two commands called at once on a fresh checkout must not install over each other."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f'another set-up is at work in {folder.parent}: waiting for it')
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def default_cache() -> Path:
    home = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(home) / 'msrcnn_plugin' / 'wheels'


def stop(*_) -> None:
    # As an exception, so that the process at work is taken along.
    raise KeyboardInterrupt


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--venv', type=Path, default=Path('.venv'), help='folder, default .venv')
    environment = Environment(parser.parse_args(argv).venv.absolute(), default_cache())
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, stop)
    try:
        refuse_unfit_machine(environment)
        claim(environment)
        with alone_in(environment.state):
            set_up(environment)
    except SetupError as error:
        print(f'\nset-up: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('\nset-up: interrupted; the next call goes on from here', file=sys.stderr)
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
