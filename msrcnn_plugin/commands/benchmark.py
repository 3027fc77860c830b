"""Measures time and memory of this plugin against mmdet's own heads.

The cases of a section take turns in one process, on the same weights, ground truth and
proposals. Ratios are medians over the rounds.

example:
  msrcnn benchmark --group loss --group prediction --json speed.json
"""

from __future__ import annotations

import argparse
import ctypes
import importlib
import os
import platform
import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from ..files import require_writable, write_json
from .arguments import add_json, shown_command

if TYPE_CHECKING:
    from .benchmark_cases import Section

GROUPS = ('targets', 'scaling', 'loss', 'step', 'prediction', 'rankings', 'hosts')
PACKAGES = ('torch', 'numpy', 'mmcv', 'mmengine', 'mmdet')
ROUNDS, SECONDS = 3, 2.0  # of a case, and the shortest time of a round

# Of a group: what its two cases are, and their names.
PAIRS = dict(
    step=('training step: everything / the MaskIoU head alone', 'plugin', 'head_only'),
    rankings=('mask AP: CocoMetric, one ranking / MaskScoringMetric, all', 'coco', 'plugin'),
)
TABLES = (
    (
        'Time, extra peak memory, and time of this plugin as a ratio',
        ['', 'Mask R-CNN', "mmdet's MS R-CNN", 'this plugin', 'to Mask R-CNN', 'to MS R-CNN'],
    ),
    ('Two ways of the same work', ['first / second', 'first', 'second', 'ratio']),
    (
        "Targets of 2 images: mmdet's MS R-CNN / this plugin",
        ['', '8 positives', '32 positives', '128 positives'],
    ),
    (
        'What mask scoring adds to the RoI head, 1 image',
        ['config', 'extra parameters', 'prediction', 'loss, forward'],
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `msrcnn benchmark`."""
    parser.add_argument(
        '--group', action='append', choices=GROUPS, help='measure only this; may be repeated'
    )
    parser.add_argument('--device', choices=('cpu', 'cuda'), help='cuda where there is one')
    parser.add_argument('--threads', type=int, help="of the CPU (torch's choice)")
    parser.add_argument('--small', action='store_true', help='tiny sizes, to try this out')
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Measures the groups and prints the tables; the record is written after each section.

    Raises:
        ValueError: the device is not there, or the number of threads is below 1.
        OSError: the record cannot be written.
    """
    import torch
    from mmengine.logging import MMLogger
    from mmengine.registry import init_default_scope

    from .benchmark_cases import sections
    from .benchmark_scene import SMALL, Setting

    if args.device == 'cuda' and not torch.cuda.is_available():
        raise ValueError('--device cuda: torch sees no CUDA device here; leave it out')
    if args.threads is not None:
        if args.threads < 1:
            raise ValueError(f'--threads {args.threads}: give 1 or more')
        torch.set_num_threads(args.threads)
    if args.json:
        require_writable(args.json)
    init_default_scope('mmdet')
    MMLogger.get_instance('benchmark', log_level='WARNING')  # not a line for each weight
    device = args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
    setting = (SMALL if args.small else Setting())._replace(device=device)
    record: dict[str, Any] = dict(provenance(args.words), setting=setting._asdict(), sections=[])
    for group in args.group or GROUPS:
        for section in sections(group, setting):
            print(f'{group}: {section.title} ...', flush=True)
            cases = measure(section, device, *((1, 0.0) if args.small else (ROUNDS, SECONDS)))
            record['sections'].append(dict(section._asdict(), group=group, cases=cases))
            if args.json:
                write_json(args.json, record)
    for table in speed_tables(record):
        print(f'\n{table.markdown()}')
    return 0


def measure(section: Section, device: str, rounds: int, seconds: float) -> dict[str, Any]:
    """Times the cases of a section in turns.

    Returns:
        of each case: ``seconds``, the median of each round, and ``peak_bytes``.
    """
    import torch
    from torch.utils.benchmark import Timer

    threads = torch.get_num_threads()
    timers = {
        name: Timer('call()', globals=dict(call=call), num_threads=threads)
        for name, call in section.cases.items()
    }
    times: dict[str, list[float]] = {name: [] for name in timers}
    for _ in range(rounds):
        for name, timer in timers.items():
            times[name].append(timer.blocked_autorange(min_run_time=seconds).median)
    return {
        name: dict(seconds=times[name], peak_bytes=peak_bytes(call, device))
        for name, call in section.cases.items()
    }


def peak_bytes(call: Callable[[], Any], device: str) -> int | None:
    """Measures the most bytes that a call holds beyond those held before.

    On the CPU these are resident bytes of the process; None where the system does not tell.
    """
    if device == 'cuda':
        import torch

        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        return torch.cuda.max_memory_allocated() - before
    try:
        ctypes.CDLL(None).malloc_trim(0)  # Kept memory would hide what the call needs.
        Path('/proc/self/clear_refs').write_text('5')  # Linux forgets the peak.
    except (AttributeError, OSError, TypeError):
        return None
    before = _process_bytes('VmRSS')
    call()
    return max(0, _process_bytes('VmHWM') - before)


def _process_bytes(field: str) -> int:
    status = Path('/proc/self/status').read_text()
    return 1024 * int(status.partition(f'{field}:')[2].split()[0])


def provenance(words: Sequence[str]) -> dict[str, Any]:
    """Returns the command, commit, versions and machine of this process."""
    import torch

    git = ['git', '-C', str(Path(__file__).parent), 'rev-parse', 'HEAD']
    try:
        commit = subprocess.run(git, capture_output=True, text=True).stdout.strip()
    except OSError:
        commit = ''
    info = Path('/proc/cpuinfo')
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


# --- tables


class Table(NamedTuple):
    """A table of the record, for people. ``rows`` hold a text for each column."""

    title: str
    columns: list[str]
    rows: list[list[str]]

    def markdown(self) -> str:
        """Returns the table in Markdown, below its title."""
        align = ['---', *['---:'] * (len(self.columns) - 1)]
        lines = [f'| {" | ".join(row)} |' for row in (self.columns, align, *self.rows)]
        return '\n'.join([f'*{self.title}*', '', *lines])


def speed_tables(record: dict[str, Any]) -> list[Table]:
    """Returns the tables of a record: a row of each section, no table without a row."""
    tables = [Table(title, columns, []) for title, columns in TABLES]
    of_models, of_pairs, of_scaling, of_hosts = (table.rows for table in tables)
    for section in record['sections']:
        title, group, cases = section['title'], section['group'], section['cases']
        if group == 'scaling':
            times = [_written(median(case['seconds'])) for case in cases.values()]
            of_scaling.append([title, *map(' / '.join, zip(times[::2], times[1::2]))])
        elif group == 'hosts':
            more = [_more(cases, part) for part in ('prediction', 'loss')]
            of_hosts.append([f'`{title}`', f'{section["parameters"] / 1e6:.1f} M', *more])
        elif group != 'rankings':
            times = [_time_and_memory(cases[name]) for name in ('stock', 'ms_rcnn', 'plugin')]
            # Mask R-CNN has no MaskIoU targets to compare with.
            stock = '' if group == 'targets' else _ratio(cases['plugin'], cases['stock'])
            of_models.append([title, *times, stock, _ratio(cases['plugin'], cases['ms_rcnn'])])
        if group in PAIRS:
            title, *names = PAIRS[group]
            pair = [cases[name] for name in names]
            of_pairs.append([title, *map(_time_and_memory, pair), _ratio(*reversed(pair))])
    return [table for table in tables if table.rows]


def _more(cases: dict[str, Any], part: str) -> str:
    stock, plugin = (cases[f'{part}/{name}']['seconds'] for name in ('stock', 'plugin'))
    more = median(b - a for a, b in zip(stock, plugin))
    return f'{more:+.2f} s, {100 * more / median(stock):+.0f} %'


def _ratio(above: dict[str, Any], below: dict[str, Any]) -> str:
    return f'{median(a / b for a, b in zip(above["seconds"], below["seconds"])):.2f}'


def _time_and_memory(case: dict[str, Any]) -> str:
    peak = case['peak_bytes']
    time = _written(median(case['seconds']))
    return time if peak is None else f'{time}, {peak / 2**20:.0f} MiB'


def _written(seconds: float) -> str:
    return f'{seconds:.2f} s' if seconds >= 1 else f'{1000 * seconds:.3g} ms'
