"""Tries each supported combination of Python, host and torch from nothing (`make matrix`).

Each row sets up an environment in --folder, imports the plugin, calls the doctor, trains and tests
a small model through mim, and runs the fast tests. `make results` makes a table of the records.

example:
  python3 tools/matrix.py oldest no-host --folder ~/matrix
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / 'results' / 'matrix.json'
# Pins that replace those of constraints.txt. torch 2.1 is built for numpy 1, as is that OpenCV.
OLDEST = 'torch==2.1.2 torchvision==0.16.2 numpy==1.26.4 opencv-python==4.11.0.86 ml_dtypes==0.5.4'
NEWEST = 'torch==2.13.0 torchvision==0.28.0'  # mmcv does not build with torch 2.14
ROWS = {  # Python, host, pins
    'oldest': ('3.10', 'openmmlab', OLDEST),
    'openmmlab': ('3.11', 'openmmlab', ''),
    'onedl': ('3.12', 'onedl', ''),
    'newest': ('3.13', 'onedl', NEWEST),
    'no-host': ('3.13', '', ''),
    'connectors': ('3.11', '', ''),  # packages that move those of constraints.txt
}
MIM = 'test_launchers.py -k mim'
FAST = (
    'geometry evaluation checkpoints models/test_mask_iou_head.py test_compat.py '
    'test_checkpoint_globals.py test_package.py'
)
# These need none of torch, mmdet and the fixtures of the other tests.
EVALUATION = 'assignment calibration_fit coco_files coco_junk detection_errors threshold'
HOSTLESS = {
    'no-host': [f'tests/evaluation/test_{name}.py' for name in EVALUATION.split()],
    'connectors': [
        f'tests/connectors/test_{name}.py' for name in ('cvat', 'fiftyone', 'label_studio')
    ],
}
SHOWN = ('torch', 'numpy', 'mmcv', 'onedl-mmcv')


def steps(row: str, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Yields name and command of each step."""
    python, host, pins = ROWS[row]
    lines = (ROOT / 'constraints.txt').read_text(encoding='utf-8').splitlines()
    pinned = [pin.partition('==')[0] for pin in pins.split()]
    kept = [line for line in lines if line.partition('==')[0] not in pinned]
    constraints = folder.with_suffix('.txt')
    constraints.write_text('\n'.join([*kept, *pins.split(), '']), encoding='utf-8')
    words = [f'VENV={folder}', f'PYTHON={python}', f'HOST={host}', f'CONSTRAINTS={constraints}']
    target = 'setup' if host else str(folder / '.setup' / 'venv')
    yield 'set-up' if host else 'venv', ['make', target, *words, 'EXTRAS=test']
    run = str(folder / 'bin' / 'python')
    if not host:
        # The last commit's wheel: a build folder in the checkout would get into that of the tree.
        extra, held = (
            ('[connectors]', []) if row == 'connectors' else ('', ['-c', str(constraints)])
        )
        commit = f'msrcnn_plugin{extra} @ git+file://localhost{ROOT}'
        yield 'set-up', [run, '-m', 'pip', 'install', *held, commit, 'pytest', 'hypothesis']
    yield 'import', [run, '-c', f'import msrcnn_plugin.{"models" if host else "evaluation"}']
    yield 'doctor', [str(folder / 'bin' / 'msrcnn'), 'doctor']
    pytest = [run, '-m', 'pytest', '--quiet']
    if host:
        yield 'mim', [*pytest, *f'tests/{MIM}'.split()]
        yield 'tests', [*pytest, *(f'tests/{name}' for name in FAST.split())]
    else:
        yield 'tests', [*pytest, '--noconftest', *HOSTLESS[row]]


def try_row(row: str, folder: Path) -> dict[str, Any]:
    """Runs the steps of a row up to the first that fails and returns the record."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    date = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    record: dict[str, Any] = {'run': row, 'host': ROWS[row][1], 'date': date}
    record |= {'tests': '', 'passed': {}, 'seconds': {}, 'versions': {}}
    path = f'{folder / "bin"}{os.pathsep}{os.environ["PATH"]}'
    for name, command in steps(row, folder):
        log, start = folder.parent / f'{row}-{name}.log', time.monotonic()
        print(f'{row}: {name}, log in {log}', flush=True)
        settings: dict[str, Any] = {'cwd': ROOT, 'env': {**os.environ, 'PATH': path}}
        with log.open('w') as stream:
            status = subprocess.call(command, stdout=stream, stderr=stream, **settings)
        record['passed'][name] = status == 0
        record['seconds'][name] = round(time.monotonic() - start)
        if name == 'tests':
            found = re.findall(r'^(\d+ .*) in [\d.]+s', log.read_text(), re.MULTILINE)
            record['tests'] = ''.join(found[-1:])
        if status:
            print(f'{row}: {name} failed with status {status}', file=sys.stderr)
            break
    if (folder / 'bin' / 'python').exists():
        code = 'import platform, json; from importlib.metadata import distributions\n'
        code += "found = {each.metadata['Name']: each.version for each in distributions()}\n"
        code += f'found = {{n.removeprefix("onedl-"): found[n] for n in {SHOWN} if n in found}}\n'
        code += 'print(json.dumps({"python": platform.python_version(), **found}))'
        shown = subprocess.check_output([folder / 'bin' / 'python', '-c', code], text=True)
        record['versions'] = json.loads(shown)
    return record


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('rows', nargs='*', metavar='ROW', help=f'{", ".join(ROWS)} (all)')
    parser.add_argument('--folder', type=Path, default=ROOT / '.venv-matrix', help='(%(default)s)')
    args = parser.parse_args()
    if unknown := set(args.rows) - set(ROWS):
        parser.error(f'no row {", ".join(unknown)}; there are {", ".join(ROWS)}')
    done = [try_row(row, args.folder.resolve() / row) for row in args.rows or ROWS]
    kept = json.loads(RESULTS.read_text())['runs'] if RESULTS.exists() else []
    records = {record['run']: record for record in [*kept, *done]}
    lines = ',\n'.join(json.dumps(records[name]) for name in ROWS if name in records)
    RESULTS.write_text(f'{{"runs": [\n{lines}\n]}}\n')
    return 0 if all(all(record['passed'].values()) for record in done) else 1


if __name__ == '__main__':
    sys.exit(main())
