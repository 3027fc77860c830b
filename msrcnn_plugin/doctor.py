"""Checks what works here and prints the fix of each problem.

    msrcnn doctor [--json FILE]

The exit status is 0 without problems and 1 with some. A missing host is no problem: evaluation
works without it. Each check runs in a process of its own, because a build that does not fit its
torch may end the process.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from . import compat
from .files import write_json

# A first import of torch from a cold disk takes a minute.
TIMEOUT_SECONDS = 600
GET_HOST = (
    "pip install 'torch<2.14' torchvision, then mmdet 3.x or onedl-mmdetection with mmcv; in a "
    'checkout, `make setup` does all of it'
)
EVALUATION = "import msrcnn_plugin.evaluation as e; print(f'{len(e.__all__)} names import')"
TORCHVISION = """
import torch
from torchvision.ops import nms
boxes = torch.tensor([[0., 0, 4, 4], [0, 0, 4, 4]])
assert nms(boxes, torch.tensor([.9, .8]), .5).tolist() == [0], 'nms keeps both of two equal boxes'
print('nms runs')
"""
MMCV = """
import torch
from mmcv.ops import roi_align
devices = ['cpu', 'cuda'] if torch.cuda.is_available() else ['cpu']
for device in devices:
    roi = torch.tensor([[0., 1, 1, 5, 5]], device=device)
    total = roi_align(torch.ones(1, 1, 8, 8, device=device), roi, 2).sum().item()
    assert total == 4, f'roi_align of ones sums to {total} on {device}, expected 4'
print(f'roi_align runs on {" and ".join(devices)}')
"""
PLUGIN = """
import msrcnn_plugin, tempfile, torch
from mmdet.registry import HOOKS, METRICS, MODELS, VISUALIZERS
names = {MODELS: 'MSRoIHead', METRICS: 'MaskScoringMetric', HOOKS: 'MaskIoUMonitorHook',
         VISUALIZERS: 'MaskScoringVisualizer'}
for registry, name in names.items():
    assert name in registry, f'{name} is not registered as {registry.name}'
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader
with tempfile.NamedTemporaryFile() as file:
    torch.save({'loss': HistoryBuffer([1.0], [1])}, file.name)
    assert CheckpointLoader.load_checkpoint(file.name)['loss'].mean() == 1
print("registered with mmdet; mmengine's checkpoints load")
"""


@dataclass(frozen=True)
class Finding:
    """One line of the report; `fix` says what to do where `ok` is false."""

    name: str
    ok: bool
    detail: str
    fix: str = ''


def check(name: str, code: str, fix: str) -> Finding:
    """Runs code in a fresh interpreter; the last line that it prints is the detail."""
    try:
        done = subprocess.run(
            [sys.executable, '-c', code], capture_output=True, text=True, timeout=TIMEOUT_SECONDS
        )
    except subprocess.TimeoutExpired:
        return Finding(name, False, f'no answer within {TIMEOUT_SECONDS} s', fix)
    output = done.stderr if done.returncode else done.stdout
    detail = (output.strip().splitlines() or [f'exit status {done.returncode}'])[-1].strip()
    return Finding(name, done.returncode == 0, detail, fix)


def host_findings() -> list[Finding]:
    """Returns the versions of the host's packages and whether they work together."""
    findings = []
    for package in compat.HOST:
        problem = package.problem()
        versions = ', '.join(f'{name} {version}' for name, version in package.installed().items())
        detail, fix = (problem.what, problem.fix) if problem else (versions, '')
        findings.append(Finding(package.module, problem is None, detail, fix))
    checks = [
        ('mmcv works', MMCV, compat.FIX_MMCV),
        ('plugin works', PLUGIN, 'fix the problems above, then call this again'),
    ]
    if findings[0].ok:
        torchvision = compat.fix_torchvision(metadata.version('torch'))
        checks.insert(0, ('torchvision works', TORCHVISION, torchvision))
    with ThreadPoolExecutor(max_workers=2) as pool:
        return [*findings, *pool.map(lambda arguments: check(*arguments), checks)]


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the findings; returns 1 where one of them is a problem, else 0."""
    parser = argparse.ArgumentParser(
        'msrcnn doctor', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the findings there too')
    args = parser.parse_args(argv)
    python = f'{platform.python_version()} ({sys.executable})'
    reinstall = 'pip install --force-reinstall numpy scipy pycocotools matplotlib'
    findings = [
        Finding('Python', True, python),
        check('evaluation', EVALUATION, reinstall),
    ]
    has_host = any(package.installed() for package in compat.HOST[1:])
    if has_host:
        findings += host_findings()
    for finding in findings:
        print(f'{"ok" if finding.ok else "PROBLEM":<8} {finding.name:<18} {finding.detail}')
    problems = [finding for finding in findings if not finding.ok]
    for finding in problems:
        print(f'\n{finding.name}: fix with\n    {finding.fix}')
    if not has_host:
        print(f'\nmmdet is not installed. Evaluation, figures and reports work without it.\n'
              f'To train and test models: {GET_HOST}.')  # fmt: skip
    if args.json:
        write_json(args.json, {'ok': not problems, 'findings': [asdict(f) for f in findings]})
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
