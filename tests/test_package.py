"""The directions that imports may take, and that what is pinned is what is accepted."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from msrcnn_plugin import compat
from tools.setup_environment import pinned

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / 'msrcnn_plugin'
# geometry <- models, geometry <- evaluation <- pictures; hooks know none of them. A part that is
# not named here is a leaf: it imports no other.
MAY_IMPORT = {
    'doctor': {'compat'},
    'models': {'geometry'},
    'checkpoints': {'models', 'compat', 'files'},
    'evaluation': {'geometry', 'files', 'progress'},
    'visualization': {'geometry', 'evaluation', 'files'},
    'studies': {'apis', 'files', 'compat', 'data_root', 'evaluation', 'hooks'},
    'apis': {
        'geometry',
        'files',
        'progress',
        'models',
        'evaluation',
        'visualization',
        'compat',
        'data_root',
        'shown_path',
    },
}


def modules(part):
    folder = PACKAGE / part
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
    names = {(file.parent if file.name == '__init__.py' else file).stem for file in entries}
    return sorted(names - {PACKAGE.name})


@pytest.mark.parametrize('part', present_parts())
def test_imports_go_one_way(part):
    assert parts_imported(part) <= MAY_IMPORT.get(part, set())


def test_the_package_imports_no_tool():
    imported = {name for file in PACKAGE.rglob('*.py') for name in absolute_imports(file)}
    assert not {name for name in imported if name.split('.')[0] in ('tools', 'tests')}


def test_the_check_sees_relative_imports():
    assert 'compat' in parts_imported('doctor')


@pytest.mark.parametrize('module', ['mmcv', 'mmdet', 'mmengine'])
def test_what_is_pinned_is_accepted(module):
    (package,) = (package for package in compat.HOST if package.module == module)
    assert package.accepts(pinned(module))


def test_what_a_page_is_made_of_is_installed(tmp_path):
    command = [sys.executable, 'setup.py', '--quiet', 'build_py', '--build-lib', str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    folder = Path('msrcnn_plugin', 'visualization', 'report', 'page')
    present = {file.name for file in (ROOT / folder).iterdir()}
    assert {file.name for file in (tmp_path / folder).iterdir()} == present
    assert 'report.html' in present
