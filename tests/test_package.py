"""The directions that imports may take, the pinned versions, and the wheel that users install."""

import ast
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib import metadata
from pathlib import Path, PurePosixPath

import pytest
from mmengine import Config
from packaging.requirements import Requirement

from msrcnn_plugin import compat

from .deploy.constant_model import write_constant_model
from .tiny_set import write_tiny_set

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / 'msrcnn_plugin'
# geometry <- models, geometry <- evaluation <- visualization; hooks know none of them; apis and
# commands are on top. A part that is not named here is a leaf: it imports no other.
BASIC = {'compat', 'files', 'image_problem', 'memory', 'progress'}
ROOMS = {'geometry', 'models', 'evaluation', 'visualization', 'checkpoints'}
MAY_IMPORT = {
    'msrcnn_plugin': {'registration'},
    'checked_host': {'compat'},
    'components': {'checked_host', 'checkpoints', 'models', 'hooks', 'evaluation', 'visualization'},
    'doctor': BASIC,
    'models': {'geometry', 'checked_host'},
    'checkpoints': {'models', *BASIC},
    'evaluation': {'geometry', *BASIC},
    'visualization': {'geometry', 'evaluation', *BASIC},
    'connectors': {'evaluation', 'apis'},
    'apis': {*ROOMS, *BASIC},
    'deploy': BASIC,
    'export': {*ROOMS, *BASIC, 'apis', 'deploy'},
    'commands': {
        *ROOMS,
        *BASIC,
        'apis',
        'connectors',
        'deploy',
        'export',
        'hooks',
        'doctor',
        'synthetic',
    },
    '__main__': {'commands'},
}


def modules(part):
    folder = PACKAGE / part
    if part == PACKAGE.name:
        return [PACKAGE / '__init__.py']
    return sorted(folder.rglob('*.py')) if folder.is_dir() else [folder.with_suffix('.py')]


def absolute_imports(file):
    """Dotted names of all that a module imports, relative ones resolved."""
    package = file.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = '.'.join([*above, *([node.module] if node.module else [])])
            yield from (f'{base}.{alias.name}' for alias in node.names)


def parts_imported(part):
    names = (name.split('.') for file in modules(part) for name in absolute_imports(file))
    return {name[1] for name in names if name[0] == 'msrcnn_plugin' and len(name) > 1} - {part}


def present_parts():
    entries = [*PACKAGE.glob('*.py'), *PACKAGE.glob('*/__init__.py')]
    return sorted({(file.parent if file.name == '__init__.py' else file).stem for file in entries})


@pytest.mark.parametrize('part', present_parts())
def test_imports_go_one_way(part):
    assert parts_imported(part) <= MAY_IMPORT.get(part, set())


def test_the_package_imports_no_tool():
    imported = {name for file in PACKAGE.rglob('*.py') for name in absolute_imports(file)}
    assert not {name for name in imported if name.split('.')[0] in ('tools', 'tests', 'projects')}


def test_the_check_sees_relative_imports():
    assert 'compat' in parts_imported('doctor')


@pytest.mark.parametrize('package', compat.HOST, ids=lambda package: package.module)
def test_what_is_pinned_is_accepted(package):
    constraints = (ROOT / 'constraints.txt').read_text()
    for name in package.distributions:
        (version,) = re.findall(rf'^{name}==(\S+)$', constraints, re.MULTILINE)
        assert package.versions.contains(version)


# --- the wheel


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    """Built from a copy, so that nothing left over in a build folder gets in."""
    source = tmp_path_factory.mktemp('source')
    for name in ('setup.py', 'pyproject.toml', 'README.md', 'LICENSE'):
        shutil.copy(ROOT / name, source)
    for name in ('msrcnn_plugin', 'configs'):
        shutil.copytree(ROOT / name, source / name, symlinks=True)
    # As for a release: the wheel is built from the sdist.
    build = ['-m', 'build', '--no-isolation', '--skip-dependency-check', '.']
    run(sys.executable, *build, cwd=source)
    (built,) = (source / 'dist').glob('*.whl')
    return built


def test_an_environment_of_mmdet_keeps_its_packages(wheel, tmp_path):
    report = tmp_path / 'report.json'
    words = ['install', '--dry-run', '--no-index', '--quiet', '--report', report, wheel]
    run(sys.executable, '-m', 'pip', *words)
    moved = [entry['metadata']['name'] for entry in json.loads(report.read_text())['install']]
    assert [name for name in moved if name != 'msrcnn_plugin'] == []


def metadata_of(wheel):
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith('.dist-info/METADATA'))
    return archive.read(name).decode()


def run(*command, cwd=None, status=0):
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_wheel_holds_what_is_not_code(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    pages = PACKAGE / 'visualization' / 'report' / 'page'
    expected = {'msrcnn_plugin/py.typed'}
    expected |= {f'msrcnn_plugin/visualization/report/page/{file.name}' for file in pages.iterdir()}
    folders = ('.', '_base_', 'any', 'own')
    for config in itertools.chain(*(ROOT.glob(f'configs/{name}/*.py') for name in folders)):
        expected.add(f'msrcnn_plugin/.mim/{config.relative_to(ROOT).as_posix()}')
    assert expected <= names
    assert {PurePosixPath(name).parts[0].split('-')[0] for name in names} == {'msrcnn_plugin'}


def test_mim_finds_each_config_of_the_wheel_by_its_name(wheel):
    names = [PurePosixPath(name) for name in zipfile.ZipFile(wheel).namelist()]
    configs = [path.name for path in names if '.mim' in path.parts]
    assert {'ms_rcnn_r101_fpn.py', 'train.py', 'test.py'} <= set(configs)
    assert len(configs) == len(set(configs))


def test_the_metadata_is_complete(wheel):
    both = wheel.parent.iterdir()
    assert run(sys.executable, '-m', 'twine', 'check', '--strict', *both).count('PASSED') == 2
    text = metadata_of(wheel)
    assert 'License: Apache-2.0' in text or 'License-Expression: Apache-2.0' in text
    required = [line for line in text.splitlines() if line.startswith('Requires-Dist')]
    plain = ' '.join(line for line in required if 'extra ==' not in line)
    assert not re.search('torch|mmdet|mmcv|mmengine|shapely', plain)


@pytest.mark.skipif(
    compat.mim_package() != 'mmdet',
    reason="OneDL's mim takes the first file that a wheel lists for its folder, here the command",
)
def test_mim_starts_slurm_with_a_config_of_the_wheel(wheel, tmp_path):
    venv.create(tmp_path / 'env', symlinks=True)
    (packages,) = tmp_path.glob('env/lib/python*/site-packages')
    pip = [sys.executable, '-m', 'pip', '--python', tmp_path / 'env/bin/python']
    run(*pip, 'install', '--quiet', '--no-deps', '--no-index', wheel)
    (packages / 'host.pth').write_text(sysconfig.get_path('purelib'))
    (tmp_path / 'srun').write_text('#!/bin/sh\nprintf "%s\\n" "$@" >words\n')
    (tmp_path / 'srun').chmod(0o755)
    slurm = '--launcher slurm --partition gpu --gpus 16 --gpus-per-node 8 --cpus-per-task 6'.split()
    words = ['train', 'msrcnn_plugin', 'ms_rcnn_r101_fpn.py', *slurm, '--srun-args', '--mem=100G']
    path = f'{tmp_path}:{os.environ["PATH"]}'
    run('env', f'PATH={path}', tmp_path / 'env/bin/python', '-m', 'mim', *words, cwd=tmp_path)
    asked = (tmp_path / 'words').read_text().splitlines()
    assert {'--ntasks=16', '--gres=gpu:8', '--ntasks-per-node=8', '--mem=100G'} <= set(asked)
    script, config = (Path(word) for word in asked if word.endswith('.py'))
    assert packages in script.parents
    assert packages in config.parents
    assert script.is_file()
    assert Config.fromfile(config).model.type == 'MaskRCNN'


def required_distributions(names):
    """What the named distributions install, with all that they require."""
    found, queue = {}, list(names)
    while queue:
        distribution = metadata.distribution(queue.pop())
        if found.setdefault(distribution.name, distribution) is not distribution:
            continue
        requirements = map(Requirement, distribution.requires or ())
        queue += [
            r.name for r in requirements if r.marker is None or r.marker.evaluate({'extra': ''})
        ]
    return found.values()


@pytest.fixture(scope='module')
def without_host(wheel, tmp_path_factory):
    """An environment of the wheel and what it requires, linked from here; no torch, no mmdet."""
    folder = tmp_path_factory.mktemp('without_host')
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob('lib/python*/site-packages')
    names = re.findall(r'^Requires-Dist: ([\w-]+)(?!.*extra ==)', metadata_of(wheel), re.MULTILINE)
    names += ['onnxruntime', 'opencv-python']  # of its extra for exported models
    for distribution in required_distributions(names):
        for top in {file.parts[0] for file in distribution.files} - {'..', '__pycache__'}:
            if not (packages / top).exists():
                (packages / top).symlink_to(distribution.locate_file(top))
    pip = [sys.executable, '-m', 'pip', '--python', folder / 'bin' / 'python']
    run(*pip, 'install', '--quiet', '--no-deps', '--no-index', wheel)
    return folder / 'bin'


def test_without_a_host_evaluation_and_the_command_work(without_host, tmp_path):
    run(without_host / 'python', '-c', 'import msrcnn_plugin.evaluation', cwd=tmp_path)
    shown = run(without_host / 'msrcnn', '--help', cwd=tmp_path)
    assert 'doctor' in shown
    shown = run(without_host / 'msrcnn', 'doctor', '--json', 'doctor.json', cwd=tmp_path)
    assert 'mmdet is not installed' in shown
    assert json.loads((tmp_path / 'doctor.json').read_text())['ok'] is True


def test_without_a_host_an_exported_model_runs(without_host, tmp_path):
    write_constant_model(tmp_path / 'model.onnx')
    data = write_tiny_set(tmp_path / 'set')
    words = ['predict', 'model.onnx', data / 'images', '--annotations', data / 'annotations.json']
    run(without_host / 'msrcnn', *words, '--out', 'results.json', cwd=tmp_path)
    code = """
import sys
import msrcnn_plugin.deploy
from msrcnn_plugin.evaluation import evaluate_coco
figures = evaluate_coco('set/annotations.json', 'results.json').figures
assert figures['segm_mAP'] >= 0 and 'mask_iou_mae' in figures
assert not {'torch', 'mmdet', 'onnx'} & set(sys.modules)
"""
    run(without_host / 'python', '-c', code, cwd=tmp_path)


def test_without_a_host_the_models_say_what_is_missing(without_host, tmp_path):
    code = 'import msrcnn_plugin.models'
    shown = run(without_host / 'python', '-c', code, cwd=tmp_path, status=1)
    assert 'ImportError: msrcnn_plugin needs a working mmdet here' in shown
    for module in ('torch', 'mmengine', 'mmcv', 'mmdet'):
        assert f'{module} is not installed; expected {module} ' in shown
    assert 'evaluation, figures and reports work without mmdet' in shown
