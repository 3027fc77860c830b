"""What is installed, what of it works, and for each fault the command that mends it.

    python -m msrcnn_plugin.doctor [--json FILE]

Exit status 0 where the plugin can run, 1 where something is at fault. Every check is executed, each
in a process of its own: a build that does not fit its torch may take the interpreter down with it.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from . import compat

OK, NOTE, FAULT = 'ok', 'note', 'FAULT'
# A first import of torch from a cold disk takes a minute; what hangs never ends.
SECONDS_PER_CHECK = 600

MIM = ('openmim', 'onedl-mim')
# Beside the host: what it and the plugin compute with, and who installs it under which names.
COMPANIONS = {
    'torchvision': ('torchvision',),
    'numpy': ('numpy',),
    'opencv': (
        'opencv-python',
        'opencv-python-headless',
        'opencv-contrib-python',
        'opencv-contrib-python-headless',
    ),
    'pycocotools': ('pycocotools',),
    'mim': MIM,
    'msrcnn_plugin': ('msrcnn_plugin',),
}

TORCHVISION = """
import torch
from torchvision.ops import nms
kept = nms(torch.tensor([[0., 0, 4, 4], [0, 0, 4, 4]]), torch.tensor([.9, .8]), .5).tolist()
assert kept == [0], f'nms keeps {kept} of two equal boxes, expected [0]'
print('nms runs')
"""
MMCV = """
import torch
from mmcv.ops import get_compiling_cuda_version, roi_align
devices = ['cpu', 'cuda'] if torch.cuda.is_available() else ['cpu']
for device in devices:
    roi = torch.tensor([[0., 1, 1, 5, 5]], device=device)
    total = roi_align(torch.ones(1, 1, 8, 8, device=device), roi, 2).sum().item()
    assert total == 4, f'roi_align of ones sums to {total} on {device}, expected 4'
cuda = get_compiling_cuda_version()
print(f'roi_align runs on {" and ".join(devices)}; compiled for CUDA: {cuda}')
"""
CUDA = """
import torch
if torch.cuda.is_available():
    assert (torch.ones(8, 8, device='cuda') @ torch.ones(8, 8, device='cuda')).sum() == 512
    print(torch.cuda.get_device_name(), 'with CUDA', torch.version.cuda)
else:
    print('torch sees no GPU: everything runs on the CPU')
"""
PLUGIN = """
import io, torch, msrcnn_plugin
from mmdet.registry import HOOKS, METRICS, MODELS
from mmengine.logging import HistoryBuffer
wanted = {MODELS: 'MSRoIHead', METRICS: 'MaskScoringMetric', HOOKS: 'MaskIoUMonitorHook'}
for registry, name in wanted.items():
    assert name in registry, f'{name} is not registered as {registry.name}'
file = io.BytesIO()
torch.save({'loss': HistoryBuffer([1.0], [1])}, file)
file.seek(0)
assert torch.load(file)['loss'].mean() == 1
print("registered with mmdet; mmengine's checkpoints load")
"""


@dataclass(frozen=True)
class Finding:
    """One line of the report; `mend` is a command, given where there is something to mend."""

    name: str
    status: str
    detail: str
    mend: str = ''


def version_findings() -> list[Finding]:
    """Python, the host and its companions, under the names of the distributions that bring them."""
    host = [host_finding(package) for package in compat.HOST]
    companions = [companion_finding(*item) for item in COMPANIONS.items()]
    python = Finding('Python', OK, f'{platform.python_version()} ({sys.executable})')
    return [python, *host, *companions]


def host_finding(package: compat.HostPackage) -> Finding:
    fault = compat.version_fault(package)
    if fault:
        return Finding(package.module, FAULT, fault.what, fault.mend)
    return Finding(package.module, OK, listed(compat.installed_versions(package)))


def companion_finding(name: str, distributions: Sequence[str]) -> Finding:
    found = compat.distribution_versions(distributions)
    return Finding(name, OK if found else NOTE, listed(found) or 'not installed')


def listed(versions: dict[str, str]) -> str:
    return ', '.join(f'{name} {version}' for name, version in versions.items())


def function_findings() -> list[Finding]:
    """Whether what is installed works; without torch, nothing but mim can be tried."""
    torch = compat.distribution_versions(['torch'])
    if not torch:
        return [mim_finding()]
    probes = (
        ('torchvision works', TORCHVISION, compat.mend_torchvision(torch['torch'])),
        ("mmcv's ops work", MMCV, compat.MEND_MMCV),
        ('CUDA', CUDA, 'export CUDA_VISIBLE_DEVICES=  # or a torch that was built for this GPU'),
        ('plugin works', PLUGIN, 'pip install --no-deps -e .  # once what stands above is mended'),
    )
    with ThreadPoolExecutor(max_workers=2) as pool:
        findings = list(pool.map(lambda probe: run_python(*probe), probes))
    return [*findings, mim_finding()]


def run_python(name: str, code: str, mend: str) -> Finding:
    return run_check(name, [sys.executable, '-c', code], mend)


def run_check(name: str, command: list[str], mend: str) -> Finding:
    """Run the command; the last line that it prints is the detail."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=SECONDS_PER_CHECK, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding(name, FAULT, str(error), mend)
    if done.returncode == 0:
        return Finding(name, OK, last_line(done.stdout))
    return Finding(name, FAULT, last_line(done.stderr) or f'status {done.returncode}', mend)


def last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else ''


def mim_finding() -> Finding:
    """A missing mim is no fault: only `mim train` and `mim test` need it."""
    mend = 'pip install openmim  # once mmcv is built; it does not run on Python 3.12 and newer'
    if not compat.distribution_versions(MIM):
        return Finding('mim works', NOTE, 'not installed: no `mim train`, no `mim test`', mend)
    return run_check('mim works', [sys.executable, '-m', 'mim', '--version'], mend)


def report(findings: Sequence[Finding]) -> str:
    """A line for each finding, then the commands, then the verdict."""
    width = max(len(finding.name) for finding in findings)
    lines = [f'{f.status:>5}  {f.name:<{width}}  {f.detail}' for f in findings]
    mends = [f'{f.name}: {f.detail}\n    {f.mend}' for f in findings if f.mend and f.status != OK]
    if mends:
        lines += ['', 'What mends it:', *mends]
    faults = sum(finding.status == FAULT for finding in findings)
    verdict = f'{faults} at fault' if faults else 'the plugin can run here'
    return '\n'.join([*lines, '', verdict])


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser('python -m msrcnn_plugin.doctor', description=__doc__)
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the findings there too')
    args = parser.parse_args(argv)
    findings = [*version_findings(), *function_findings()]
    print(report(findings))
    fit = all(finding.status != FAULT for finding in findings)
    if args.json:
        record = {'fit': fit, 'findings': [asdict(finding) for finding in findings]}
        args.json.write_text(json.dumps(record, indent=2) + '\n')
    return 0 if fit else 1


if __name__ == '__main__':
    sys.exit(main())
