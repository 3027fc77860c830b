"""One run: suite after suite, tables as they come, everything that is finished on disk."""

import json
import os
import platform
import subprocess
from functools import partial
from pathlib import Path

import mmcv
import mmdet
import torch
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import msrcnn_plugin  # noqa: F401  (registers the plugin)
from tools.benchmarking import goals, hosts, tables
from tools.benchmarking.measuring import interleave, peak_of_call, summary
from tools.benchmarking.suites import scaling_settings, sections_of

# glibc keeps much of what is freed, and a peak would show what was needed before. With this it
# hands every larger block back at once.
FREE_AT_ONCE = dict(MALLOC_MMAP_THRESHOLD_='65536', MALLOC_TRIM_THRESHOLD_='65536')


class Run:
    """Measures suites and keeps ``results``, what `--json` writes.

    Args:
        settings: what to measure.
        console: rich's, to print to.
        child: command line that starts this tool anew with the same arguments.
        json_file: where to write the results after each suite, or None.
    """

    def __init__(self, settings, console, child, json_file=None):
        prepare_host()
        self.settings = settings
        self.console = console
        self.child = child
        self.json_file = json_file
        self.results = dict(
            machine=machine(settings.device),
            settings=dict(vars(settings), image_size=list(settings.image_size)),
            finished=False,
            suites={},
            scaling=[],
            goals=[],
        )

    def measure(self, suites):
        """All of ``suites``; what is finished when it is interrupted stays."""
        self.console.print(machine_text(self.results['machine']), highlight=False)
        for suite in suites:
            sections = self._measured_suite(suite)
            scaling = self._measured_scaling() if suite == 'targets' else None
            self.results['suites'][suite] = sections
            self.results['scaling'] = scaling or self.results['scaling']
            if suite == 'hosts':
                self.results['hosts'] = hosts.rows(sections, self.settings)
                self.console.print(hosts.table(self.results['hosts']))
            self.results['goals'] = goals.reached(self.results)
            self.results['finished'] = suite == suites[-1]
            self._write()

    def show_goals(self):
        """The last table."""
        self.console.print(tables.goal_table(self.results['goals']))

    def _measured_suite(self, suite):
        peaks = {}
        measured = {}
        for section in sections_of(suite, self.settings):
            rounds = self.settings.rounds_of(suite, section.name)
            if self._peaks_are_wanted(section) and not peaks:
                peaks = self._peaks(suite, section.cases)
            cases = measure_section(section, self.settings, rounds, self._progress)
            for name, case in cases.items():
                if name in peaks:
                    case['peak'] = peaks[name].get(section.name)
            measured[section.name] = cases
            self.console.print(tables.section_table(_title(section, rounds), cases))
        return measured

    def _peaks_are_wanted(self, section):
        return self.settings.device == 'cpu' and section.peaks and not section.may_fail

    def _measured_scaling(self):
        grid = scaling_settings(self.settings)
        cells = []
        with self._progress('targets: scaling', len(grid)) as advance:
            for settings in grid:
                cells.append(scaling_cell(settings))
                advance()
        self.console.print(tables.scaling_table(cells), tables.growth_table(cells))
        return cells

    def _peaks(self, suite, names):
        """{case: {section: bytes}} on the CPU, of a process for each case."""
        peaks = {}
        with self._progress(f'{suite}: peak memory', len(names)) as advance:
            for name in names:
                peaks[name] = self._peaks_in_child(f'{suite}/{name}')
                advance()
        return peaks

    def _peaks_in_child(self, case):
        done = subprocess.run(
            [*self.child, '--device', 'cpu', '--peak-of', case],
            env={**os.environ, **FREE_AT_ONCE},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ['no word'])[-1]
            self.console.print(f'peak memory of {case} is unknown: {last}', highlight=False)
            return {}
        return json.loads(done.stdout.splitlines()[-1])

    def _progress(self, what, steps):
        return _Steps(self.console, what, steps)

    def _write(self):
        if self.json_file is None:
            return
        # Beside it first: whoever reads the file, at any time, reads a whole one.
        partial_file = self.json_file.with_name(self.json_file.name + '.partial')
        partial_file.write_text(json.dumps(self.results, indent=2) + '\n')
        partial_file.replace(self.json_file)


class _Steps:
    """A bar while a section is measured; ``with`` gives what moves it on. A line where there is no
    terminal.
    """

    def __init__(self, console, what, steps):
        columns = TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn()
        self.bar = Progress(*columns, TimeElapsedColumn(), console=console, transient=True)
        self.terminal = console.is_terminal
        self.what, self.steps = what, steps

    def __enter__(self):
        if not self.terminal:
            self.bar.console.print(f'{self.what} ...', highlight=False)
            return lambda: None
        self.bar.start()
        return partial(self.bar.advance, self.bar.add_task(self.what, total=self.steps))

    def __exit__(self, *_):
        if self.terminal:
            self.bar.stop()


def measure_section(section, settings, rounds, progress):
    """{case: summary} of a section; a case that may fail and does has its ``error`` alone."""
    scene = section.scene(settings)
    calls = (rounds + 1) * len(section.cases)
    with progress(f'{section.suite}: {section.title}', calls) as advance:
        cases, errors = _made_cases(section, scene)
        measured = interleave(cases, scene, rounds, settings.device, advance)
    return {**{name: summary(*figures) for name, figures in measured.items()}, **errors}


def _made_cases(section, scene):
    """The cases by name, and of those that may fail and do, dict(error=...)."""
    cases, errors = {}, {}
    for name, make in section.cases.items():
        try:
            cases[name] = make(scene)
            if section.may_fail:
                cases[name].run(*cases[name].inputs(scene))
        except Exception as error:
            if not section.may_fail:
                raise
            cases.pop(name, None)
            errors[name] = dict(error=f'{type(error).__name__}: {error}')
    return cases, errors


def scaling_cell(settings):
    """Time of the targets from bitmaps, stock's and the plugin's, at one point of the grid."""
    section = next(s for s in sections_of('targets', settings) if s.name == 'bitmaps')
    scene = settings.scene(section.images)
    cases = {name: section.cases[name](scene) for name in ('ms_rcnn', 'plugin')}
    measured = interleave(cases, scene, settings.rounds_of('scaling'), settings.device)
    return dict(
        image_size=list(settings.image_size),
        objects=settings.objects,
        positives=settings.positives,
        cases={name: summary(*figures) for name, figures in measured.items()},
    )


def prepare_host():
    """mmdet's names are found, and it does not print each weight that it initialises."""
    init_default_scope('mmdet')
    MMLogger.get_instance('benchmark', log_level='WARNING')


def peaks_of(case, settings):
    """{section: bytes} of ``case``, SUITE/CASE, in this process."""
    prepare_host()
    suite, name = case.split('/')
    peaks = {}
    for section in sections_of(suite, settings):
        scene, small = section.scene(settings), section.warm_up_scene(settings)
        peaks[section.name] = peak_of_call(section.cases[name](scene), scene, small)
    return peaks


def machine(device):
    """What the figures were measured on."""
    return dict(
        cpu=cpu_model(),
        cores=os.cpu_count(),
        threads=torch.get_num_threads(),
        gpu=torch.cuda.get_device_name() if device == 'cuda' else None,
        python=platform.python_version(),
        torch=torch.__version__,
        mmcv=mmcv.__version__,
        mmdet=mmdet.__version__,
    )


def cpu_model():
    """Its name where the system tells."""
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError:
        lines = []
    names = (line.split(':', 1)[1].strip() for line in lines if line.startswith('model name'))
    return next(names, platform.processor() or platform.machine())


def machine_text(machine):
    """The same in a line."""
    gpu = f'{machine["gpu"]}; ' if machine['gpu'] else ''
    return (
        f'{gpu}{machine["cpu"]}, {machine["cores"]} cores, {machine["threads"]} threads; '
        f'torch {machine["torch"]}, mmcv {machine["mmcv"]}, mmdet {machine["mmdet"]}, '
        f'Python {machine["python"]}'
    )


def _title(section, rounds):
    images = f'{section.images} image{"s" * (section.images > 1)}'
    return f'{section.suite}: {section.title} ({images}, {rounds} rounds)'
