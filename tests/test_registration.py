"""In whichever order they are imported, everything is registered; a broken host is reported."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONFIG = "from mmengine import Config; Config.fromfile('configs/_base_/mask_scoring.py')"
REGISTERED = """
from mmdet.registry import HOOKS, METRICS, MODELS, VISUALIZERS
assert MODELS.build(dict(type='MaskIoUCalibration')) is not None
for registry, name in ((METRICS, 'MaskScoringMetric'), (HOOKS, 'MaskIoUMonitorHook'),
                       (VISUALIZERS, 'MaskScoringVisualizer'), (MODELS, 'MSRoIHead')):
    assert registry.get(name).__module__.startswith('msrcnn_plugin.'), name
"""


def python(code):
    command = [sys.executable, '-c', code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    'imports',
    [CONFIG, f'import msrcnn_plugin.evaluation; {CONFIG}', 'import msrcnn_plugin',
     'import mmdet.registry, msrcnn_plugin'],
    ids=['a config', 'evaluation, then a config', 'plugin, then mmdet', 'mmdet, then plugin'],
)  # fmt: skip
def test_everything_is_registered_in_every_order(imports):
    done = python(f'{imports}\n{REGISTERED}')
    assert done.returncode == 0, done.stderr


def test_evaluation_and_visualization_load_neither_torch_nor_the_host():
    done = python(
        'import sys, msrcnn_plugin.evaluation, msrcnn_plugin.visualization\n'
        "print({'torch', 'mmengine', 'mmcv', 'mmdet'} & set(sys.modules))"
    )
    assert done.stdout == 'set()\n', done.stdout + done.stderr


BROKEN = "import sys; sys.modules['mmcv.ops'] = None; "


@pytest.mark.parametrize(
    'imports',
    [CONFIG, f'import msrcnn_plugin\n{REGISTERED}', 'import msrcnn_plugin.models'],
    ids=['a config', 'a registry', 'the models'],
)
def test_a_broken_host_is_reported_with_its_fix(imports):
    done = python(BROKEN + imports)
    assert done.returncode == 1
    assert 'ImportError: msrcnn_plugin needs a working mmdet here' in done.stderr
    assert 'mmcv.ops cannot be imported' in done.stderr
    assert 'MMCV_WITH_OPS=1' in done.stderr
