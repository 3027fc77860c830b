"""Measures time and memory of this plugin against mmdet's own heads.

The cases of a section take turns in one process, on the same weights, ground truth and
proposals. Ratios are medians over the rounds.

example:
  msrcnn benchmark --group loss --group prediction --json speed.json
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import platform
import re
import subprocess
import timeit
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from ..files import require_writable, write_json
from ..visualization.report import Cell, Table
from .arguments import add_json, print_table, shown_command

GROUPS = ('targets', 'scaling', 'loss', 'step', 'prediction', 'rankings', 'hosts', 'detectors')
PACKAGES = ('torch', 'numpy', 'mmcv', 'mmengine', 'mmdet')
ROUNDS = 5
NAMES = dict(
    stock='Mask R-CNN',
    ms_rcnn="mmdet's MS R-CNN",
    host='the host',
    plugin='this plugin',
    head_only='the MaskIoU head alone',
    fitted='what msrcnn fit makes',
    coco='CocoMetric, one ranking',
    metric='MaskScoringMetric, all',
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `msrcnn benchmark`."""
    parser.add_argument(
        '--group', action='append', choices=GROUPS, help='measure only this; may be repeated'
    )
    parser.add_argument('--small', action='store_true', help='tiny sizes, to try this out')
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Measures the groups and prints the tables; the record is written after each section.

    A GPU is used where there is one.

    Raises:
        OSError: the record cannot be written.
    """
    import torch
    from mmengine.logging import MMLogger
    from mmengine.registry import init_default_scope

    from .benchmark_cases import SMALL, Setting, sections
    from .benchmark_detectors import detector_sections

    if args.json:
        require_writable(args.json)
    init_default_scope('mmdet')
    MMLogger.get_instance('benchmark', log_level='WARNING')  # not a line for each weight
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    setting = (SMALL if args.small else Setting())._replace(device=device)
    record: dict[str, Any] = dict(provenance(args.words), setting=setting._asdict(), sections=[])
    for group in args.group or GROUPS:
        of_group = detector_sections(setting) if group == 'detectors' else sections(group, setting)
        for title, cases in of_group:
            print(f'{group}: {title} ...', flush=True)
            measured = measure(cases, device, 1 if args.small else ROUNDS)
            record['sections'].append(dict(group=group, title=title, cases=measured))
            if args.json:
                write_json(args.json, record)
    print()
    for table in speed_tables(record):
        print_table(table)
    return 0


def measure(cases: Mapping[str, Callable[[], Any]], device: str, rounds: int) -> dict[str, Any]:
    """Times the cases of a section in turns. A round calls a case for 0.2 seconds, at least once.

    Returns:
        of each case: ``seconds``, the mean of each round, and ``peak_bytes``, the most that a
        call holds beyond those held before; None where the system does not report it.
    """
    from torch.utils.benchmark import timer  # waits for the GPU

    # The first call of each warms up.
    peaks = {name: (call(), extra_bytes(call, device))[1] for name, call in cases.items()}
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, call in cases.items():
            number, seconds = timeit.Timer(call, timer=timer).autorange()
            times[name].append(seconds / number)
    return {name: dict(seconds=times[name], peak_bytes=peaks[name]) for name in cases}


def extra_bytes(call: Callable[[], Any], device: str) -> int | None:
    """Measures the most bytes that a call holds beyond those held before."""
    from ..memory import peak_bytes, reset_peak

    before = reset_peak(device)
    call()
    return None if before is None else max(0, peak_bytes(device) - before)


def provenance(words: Sequence[str]) -> dict[str, Any]:
    """Returns the command, commit, versions and machine of this process."""
    import torch

    commit, info = '', Path('/proc/cpuinfo')
    with contextlib.suppress(OSError):  # no git
        git = ['git', '-C', str(Path(__file__).parent), 'rev-parse', 'HEAD']
        commit = subprocess.run(git, capture_output=True, text=True).stdout.strip()
    cpu = re.search(r'model name\s*: (.*)', info.read_text()) if info.exists() else None
    versions = {name: importlib.import_module(name).__version__ for name in PACKAGES}
    return dict(
        command=shown_command('benchmark', words),
        commit=commit or None,
        versions=dict(python=platform.python_version(), **versions),
        machine=dict(
            cpu=cpu[1] if cpu else platform.processor() or platform.machine(),
            cores=os.cpu_count(),
            threads=torch.get_num_threads(),
            gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        ),
    )


def speed_tables(record: Mapping[str, Any]) -> list[Table]:
    """Returns the tables of a record: a row of each section; sections of the same cases share one.

    The ratios are of the last case to each of the others.
    """
    rows: dict[tuple[str, ...], list[tuple[Cell, ...]]] = {}
    for section in record['sections']:
        *others, ours = section['cases'].values()
        cells = [_time_and_memory(case) for case in (*others, ours)]
        ratios = [_ratio(ours, other) for other in others]
        row = (Cell(section['title']), *cells, *ratios)
        rows.setdefault(tuple(section['cases']), []).append(row)
    tables = []
    for cases, lines in rows.items():
        *others, ours = (NAMES[case] for case in cases)
        head = ('', *others, ours, *(f'ratio to {other}' for other in others))
        title = f'Time and extra peak memory of {ours} against {" and ".join(others)}'
        tables.append(Table(title, head, tuple(lines)))
    return tables


def _ratio(above: Mapping[str, Any], below: Mapping[str, Any]) -> Cell:
    ratio = median(a / b for a, b in zip(above['seconds'], below['seconds']))
    return Cell(f'{ratio:.2f}', ratio)


def _time_and_memory(case: Mapping[str, Any]) -> Cell:
    peak, seconds = case['peak_bytes'], median(case['seconds'])
    time = f'{seconds:.2f} s' if seconds >= 1 else f'{1000 * seconds:.3g} ms'
    return Cell(time if peak is None else f'{time}, {peak / 2**20:.0f} MiB', seconds)
