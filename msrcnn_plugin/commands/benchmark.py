"""Measures time and memory of this plugin against mmdet's own heads.

The cases of a section take turns in one process, on the same weights, ground truth and
proposals. Ratios are medians over the rounds.

example:
  msrcnn benchmark --group loss --group prediction --json speed.json
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import platform
import re
import shlex
import statistics
import subprocess
import sys
import timeit
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..files import write_json

if TYPE_CHECKING:
    from .benchmark_cases import Section

GROUPS = ('targets', 'scaling', 'loss', 'step', 'prediction', 'rankings', 'hosts')
PACKAGES = ('torch', 'mmcv', 'mmengine', 'mmdet', 'onedl-mmcv', 'onedl-mmengine', 'numpy')
MIN_ROUNDS = 3
# Sections of two cases: the section, both cases, and what they are.
PAIRS = (
    ('step', 'plugin', 'head_only', 'training step: everything / the MaskIoU head alone'),
    ('rankings', 'coco', 'plugin', 'mask AP: CocoMetric, one ranking / MaskScoringMetric, all'),
)


class Table(NamedTuple):
    """A table of the record, for people. ``rows`` hold a text for each column."""

    title: str
    columns: list[str]
    rows: list[list[str]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `msrcnn benchmark`."""
    parser.add_argument(
        '--group', action='append', choices=GROUPS, help='measure only this; may be repeated'
    )
    parser.add_argument('--device', choices=('cpu', 'cuda'), help='cuda where there is one')
    parser.add_argument('--threads', type=_at_least_one, help="of the CPU (torch's choice)")
    parser.add_argument(
        '--min-run-time',
        type=float,
        default=20.0,
        metavar='SECONDS',
        help=f'of each section, but {MIN_ROUNDS} rounds at least (%(default)s)',
    )
    parser.add_argument('--small', action='store_true', help='tiny sizes, to try this out')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the record there')


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text}: give 1 or more')
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Measures the groups, prints the tables and writes the record; returns the exit status.

    Raises:
        ValueError: the device is not there.
    """
    import torch
    from mmengine.logging import MMLogger
    from mmengine.registry import init_default_scope

    from .benchmark_cases import sections
    from .benchmark_inputs import SMALL, Setting

    if args.device == 'cuda' and not torch.cuda.is_available():
        raise ValueError('--device cuda: torch sees no CUDA device here; leave it out')
    init_default_scope('mmdet')
    MMLogger.get_instance('benchmark', log_level='WARNING')  # not a line for each weight
    if args.threads:
        torch.set_num_threads(args.threads)
    device = args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
    setting = replace(SMALL if args.small else Setting(), device=device)
    record: dict[str, Any] = dict(
        **provenance(), setting=asdict(setting), finished=False, sections={}
    )
    try:
        for group in args.group or GROUPS:
            for section in sections(group, setting):
                print(f'{section.title} ...', flush=True)
                cases = measure(section, args.min_run_time, device)
                record['sections'][section.name] = dict(
                    title=section.title, **section.facts, cases=cases
                )
                if args.json:
                    write_json(args.json, record)
        record['finished'] = True
    except KeyboardInterrupt:
        print('interrupted: the tables show what was finished')
    if args.json:
        write_json(args.json, record)
    show(speed_tables(record))
    return 0 if record['finished'] else 130


def measure(section: Section, min_run_time: float, device: str) -> dict[str, dict[str, Any]]:
    """Times the cases of a section in turns; another case begins each round.

    Returns:
        of each case: ``seconds`` of each round, ``median``, ``iqr`` (interquartile range) and
        ``peak_bytes``, None where it was not asked for or the system does not tell.
    """
    from torch.utils.benchmark import Measurement, TaskSpec, timer

    for prepare in section.cases.values():
        prepare()()  # The first call loads libraries and finds algorithms.
    peaks = {
        name: peak_bytes(prepare(), device) if section.memory else None
        for name, prepare in section.cases.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in section.cases}
    order = deque(section.cases)
    begin = timer()
    while len(seconds[order[0]]) < MIN_ROUNDS or timer() - begin < min_run_time:
        for name in order:
            # timeit switches the garbage collector off, torch's timer waits for the GPU.
            seconds[name].append(timeit.timeit(section.cases[name](), timer=timer, number=1))
        order.rotate(1)
        gc.collect()
    figures = {}
    for name, times in seconds.items():
        found = Measurement(1, times, TaskSpec(name, ''))
        figures[name] = dict(
            seconds=times, median=found.median, iqr=found.iqr, peak_bytes=peaks[name]
        )
    return figures


def peak_bytes(call: Callable[[], Any], device: str) -> int | None:
    """Measures the most bytes that a call holds beyond those held before.

    On the CPU these are resident bytes of the process, None where the system does not tell.
    """
    gc.collect()
    if device == 'cuda':
        import torch

        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        return torch.cuda.max_memory_allocated() - before
    try:
        # glibc keeps freed memory. Kept memory would hide what the call needs.
        ctypes.CDLL(None).malloc_trim(0)
        Path('/proc/self/clear_refs').write_text('5')  # Linux forgets the peak.
    except (AttributeError, OSError, TypeError):
        return None
    resident = _status_bytes('VmRSS')
    call()
    return max(0, _status_bytes('VmHWM') - resident)


def _status_bytes(field: str) -> int:
    lines = Path('/proc/self/status').read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def provenance() -> dict[str, Any]:
    """Returns the command, commit, versions and machine of this process."""
    import torch

    git = ['git', '-C', str(Path(__file__).parent), 'rev-parse', 'HEAD']
    try:
        commit = subprocess.run(git, capture_output=True, text=True).stdout.strip()
    except OSError:
        commit = ''
    installed = {dist.name: dist.version for dist in metadata.distributions()}
    return dict(
        command=shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        commit=commit or None,
        versions=dict(
            python=platform.python_version(),
            **{name: installed[name] for name in PACKAGES if name in installed},
        ),
        machine=dict(
            cpu=_cpu_model(),
            cores=os.cpu_count(),
            threads=torch.get_num_threads(),
            gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        ),
    )


def _cpu_model() -> str:
    info = Path('/proc/cpuinfo')
    found = re.search(r'model name\s*: (.*)', info.read_text()) if info.exists() else None
    return found[1] if found else platform.processor() or platform.machine()


def speed_tables(record: dict[str, Any]) -> list[Table]:
    """Returns the tables of a record; those without a row are left out."""
    tables = (_models_table, _pairs_table, _scaling_table, _hosts_table)
    return [table for make in tables if (table := make(record['sections'])).rows]


def show(tables: list[Table]) -> None:
    """Prints tables, as wide as they are where there is no terminal."""
    import rich.table
    from rich.console import Console

    console = Console() if sys.stdout.isatty() else Console(width=160)
    for table in tables:
        shown = rich.table.Table(title=table.title, title_justify='left')
        for column in table.columns:
            shown.add_column(column, justify='right' if shown.columns else 'left')
        for row in table.rows:
            shown.add_row(*row)
        console.print(shown)


def _models_table(sections: dict[str, Any]) -> Table:
    columns = ['', 'Mask R-CNN', "mmdet's MS R-CNN", 'this plugin', 'to Mask R-CNN', 'to MS R-CNN']
    rows = []
    for name, section in sections.items():
        cases = section['cases']
        if not name.startswith('scaling/') and {'ms_rcnn', 'plugin'} <= set(cases):
            # Mask R-CNN has no MaskIoU targets to compare with.
            compared = ('ms_rcnn',) if name.startswith('targets/') else ('mask_rcnn', 'ms_rcnn')
            ratios = [f'{_ratio(cases, "plugin", other):.2f}' for other in compared]
            cells = [_cell(cases[case]) for case in ('mask_rcnn', 'ms_rcnn', 'plugin')]
            rows.append([section['title'], *cells, *([''] * (2 - len(ratios))), *ratios])
    return Table('Time, extra peak memory, and time of this plugin as a ratio', columns, rows)


def _pairs_table(sections: dict[str, Any]) -> Table:
    rows = []
    for name, first, second, title in PAIRS:
        if name in sections:
            cases = sections[name]['cases']
            ratio = f'{_ratio(cases, second, first):.2f}'
            rows.append([title, _cell(cases[first]), _cell(cases[second]), ratio])
    return Table('Two ways of the same work', ['first / second', 'first', 'second', 'ratio'], rows)


def _scaling_table(sections: dict[str, Any]) -> Table:
    cells: dict[str, dict[str, str]] = {}
    for name, section in sections.items():
        if name.startswith('scaling/'):
            height, width = section['image_size']
            row = f'{height} × {width}, {section["objects"]} objects'
            times = (_seconds(section['cases'][case]['median']) for case in ('ms_rcnn', 'plugin'))
            cells.setdefault(row, {})[str(section['positives'])] = ' / '.join(times)
    positives = list(next(iter(cells.values()), {}))
    rows = [[row, *(found.get(count, '') for count in positives)] for row, found in cells.items()]
    columns = ['', *(f'{count} positives' for count in positives)]
    return Table("Targets of 2 images: mmdet's MS R-CNN / this plugin", columns, rows)


def _hosts_table(sections: dict[str, Any]) -> Table:
    hosts: dict[str, list[str]] = {}
    for name, section in sections.items():
        if name.startswith('hosts/'):
            row = hosts.setdefault(name.split('/')[1], [f'{section["parameters"] / 1e6:.1f} M'])
            stock, plugin = (section['cases'][case] for case in ('stock', 'plugin'))
            pairs = zip(stock['seconds'], plugin['seconds'])
            extra = statistics.median(b - a for a, b in pairs)
            row += [_seconds(stock['median']), f'{extra:+.2f} s, {extra / stock["median"]:+.0%}']
    columns = ['host', 'extra parameters', 'prediction', 'more', 'loss, forward', 'more']
    rows = [[name, *row, *[''] * (5 - len(row))] for name, row in hosts.items()]
    return Table('What mask scoring adds to the RoI head, 1 image', columns, rows)


def _ratio(cases: dict[str, Any], above: str, below: str) -> float:
    """Returns the median over the rounds of the ratio of two cases' times."""
    pairs = zip(cases[above]['seconds'], cases[below]['seconds'])
    return statistics.median(a / b for a, b in pairs)


def _cell(case: dict[str, Any]) -> str:
    peak = case['peak_bytes']
    return _seconds(case['median']) + (f', {peak / 2**20:.0f} MiB' if peak is not None else '')


def _seconds(seconds: float) -> str:
    return f'{seconds:.2f} s' if seconds >= 1 else f'{1000 * seconds:.3g} ms'
