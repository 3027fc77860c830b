"""Writes the tables of the documents from results/*.json (``make results``).

A table stands in README.md or below docs/ between these lines; nothing else is changed:

    <!-- results:NAME -->
    <!-- end of results -->

With --check it changes nothing and exits 1 where a document is out of date (``make lint``). A new
table is an entry of TABLES: a record file and its columns.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))  # started as a script, from anywhere

from msrcnn_plugin.commands.benchmark import speed_tables  # noqa: E402
from msrcnn_plugin.visualization.report import markdown as aligned  # noqa: E402
from projects.ablations.table import CACHED_HEADS, STUDIES  # noqa: E402

Records = Sequence[Mapping[str, Any]]
MARKER = re.compile(r'<!-- results:([\w-]+) -->')
BLOCK = re.compile(
    rf'({MARKER.pattern}\n)(?:(?!<!-- results:).)*?(<!-- end of results -->)', re.DOTALL
)
NOTHING = '–'
NOT_YET = '*Not measured yet.*'
SHOWN = {**STUDIES, CACHED_HEADS.name: CACHED_HEADS}


@dataclass(frozen=True)
class Column:
    """A column; a cell is made of the records of one run, one record a seed."""

    title: str
    cell: Callable[[Records], str]
    align: str = '---:'


@dataclass(frozen=True)
class Table:
    """The runs of a record file, each study by itself."""

    results: str  # results/NAME.json
    columns: tuple[Column, ...]
    studies: tuple[str, ...] | None = None  # all of the file by default


def figure(title: str, path: str, factor: float = 1, digits: int = 3) -> Column:
    """Mean ± standard deviation over the seeds of a record's figure, such as 'figures.bbox_mAP'."""

    def cell(records: Records) -> str:
        values = [value for record in records if (value := look_up(record, path)) is not None]
        if not values:
            return NOTHING
        mean = f'{factor * statistics.fmean(values):.{digits}f}'
        std = f' ± {factor * statistics.stdev(values):.{digits}f}' if len(values) > 1 else ''
        return mean + std

    return Column(title, cell)


def interval(title: str, key: str) -> Column:
    """A gain in AP of each seed, with its 95 % interval."""

    def one(record: Mapping[str, Any]) -> str:
        values = [look_up(record, f'{key}.{name}') for name in ('gain', 'low', 'high')]
        if None in values:
            return NOTHING
        return '{:+.2f} ({:+.2f} to {:+.2f})'.format(*(100 * value for value in values))

    return Column(title, lambda records: '; '.join(dict.fromkeys(map(one, records))))


def gain_of(model: str) -> Column:
    """A model's mask AP by a score, and its gain."""
    ap, gain = figure('', 'at_100.ap', 100, 1), interval('', 'at_100.gain')

    def cell(records: Records) -> str:
        found = [record for record in records if record['model'] == model]
        return f'{ap.cell(found)}, {gain.cell(found)}' if found else NOTHING

    return Column(model, cell)


def text(title: str, path: str) -> Column:
    """A word of the record."""
    return Column(title, lambda records: str(look_up(records[0], path) or NOTHING), '---')


def step(title: str, name: str) -> Column:
    """The seconds that a step of the matrix took, or that it failed."""
    seconds, passed = figure('', f'seconds.{name}', 1, 0), f'passed.{name}'
    return Column(
        title,
        lambda records: 'fails' if look_up(records[0], passed) is False else seconds.cell(records),
    )


def look_up(record: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path, None where there is none."""
    value: Any = record
    for name in path.split('.'):
        value = (value or {}).get(name)
    return value


def titled(records: Records) -> str:
    """The row's title, and the paper's row that it repeats."""
    study, run = records[0].get('study'), records[0]['run']
    rows = {row.name: row for row in SHOWN[study].rows} if study in SHOWN else {}
    if run not in rows:
        return records[0].get('title', run)
    return rows[run].title + (f' ({rows[run].paper})' if rows[run].paper else '')


RUN = Column('run', lambda records: f'`{records[0]["run"]}`', '---')
MODEL = Column('model', titled, '---')
SEEDS = Column('seeds', lambda records: str(len(records)))
BOX_AP = figure('box AP', 'figures.bbox_mAP', 100, 1)
BY_CLASS_SCORE = figure('mask AP by class score', 'figures.segm_mAP_cls', 100, 1)
BY_MASK_SCORE = figure('by mask score', 'figures.segm_mAP', 100, 1)
PEARSON = figure('Pearson', 'figures.mask_iou_pearson')
MAE = figure('MAE', 'figures.mask_iou_mae')
ECE = figure('ECE of IoU', 'figures.mask_iou_ece')
SMALLEST = 'figures.smallest_'
ALL = (
    RUN,
    MODEL,
    SEEDS,
    BOX_AP,
    BY_CLASS_SCORE,
    figure('by predicted IoU', 'figures.segm_mAP_iou', 100, 1),
    BY_MASK_SCORE,
    figure('by the oracle', 'figures.segm_mAP_oracle', 100, 1),
    figure('gain', 'gain.gain', 100, 2),
    PEARSON,
    MAE,
    ECE,
    figure('s an iteration', 'figures.seconds_per_iter', 1, 2),
)
RESCORED = (
    Column('learnt from', titled, '---'),
    figure('detections', 'figures.detections', 1, 0),
    figure('mask AP by score', 'figures.ap_before', 100, 1),
    figure('by the true U', 'figures.ap_unique', 100, 1),
    figure('by mask score', 'figures.ap', 100, 1),
    interval('gain (95 % interval)', 'gain'),
    interval('gain by cross-validation', 'cross_validation'),
    figure('s to fit', 'fit_seconds', 1, 0),
)
FROM_RUNTIME = (
    Column('run by', titled, '---'),
    figure('one thread (ms)', 'threads_1.seconds', 1000, 0),
    figure('ratio', 'threads_1.ratio', 1, 2),
    figure('two threads (ms)', 'threads_2.seconds', 1000, 0),
    figure('ratio', 'threads_2.ratio', 1, 2),
    figure('error', 'threads_1.error', 1, 5),
    figure('images of other counts', 'threads_1.other_counts', 1, 0),
    figure('MiB', 'bytes', 2**-20, 1),
)
SCALE = (
    Column('command', titled, '---'),
    figure('images', 'figures.images', 1, 0),
    figure('detections', 'figures.detections', 1, 0),
    figure('s of processor time', 'figures.cpu_seconds', 1, 0),
    figure('peak memory (GiB)', 'figures.peak_gib', 1, 2),
)
DEMO_MODELS = ('R18-FPN', 'R18-C4', 'Cascade R18-FPN')
TABLES = {
    'matrix': Table(
        'matrix',
        (
            RUN,
            text('Python', 'versions.python'),
            text('host', 'host'),
            text('torch', 'versions.torch'),
            text('numpy', 'versions.numpy'),
            text('mmcv', 'versions.mmcv'),
            step('set-up, s', 'set-up'),
            step('doctor, s', 'doctor'),
            step('`mim train`, `mim test`, s', 'mim'),
            step('tests, s', 'tests'),
            text('tests', 'tests'),
            text('date', 'date'),
        ),
    ),
    'nuclei': Table(
        'nuclei',
        (
            MODEL,
            BOX_AP,
            BY_CLASS_SCORE,
            BY_MASK_SCORE,
            interval('gain (95 % interval), each seed', 'gain'),
            PEARSON,
            ECE,
        ),
        studies=('nuclei',),
    ),
    'nuclei-full': Table('nuclei', (*ALL, interval('gain (95 % interval), each seed', 'gain'))),
    'rescore-watershed': Table('rescore', RESCORED, studies=('watershed',)),
    'rescore-mask-rcnn': Table('rescore', RESCORED, studies=('mask_rcnn',)),
    'rescore-mask-rcnn-train': Table('rescore', RESCORED, studies=('mask_rcnn_train',)),
    'rescore-stock': Table('rescore', RESCORED, studies=('stock',)),
    'rescore-plugin': Table('rescore', RESCORED, studies=('plugin',)),
    'rescore-demo': Table('rescore', RESCORED, studies=('demo',)),
    'scale': Table('scale', SCALE),
    'fit': Table(
        'fit',
        (
            MODEL,
            figure('images', 'fit.detected_images', 1, 0),
            figure('steps', 'fit.head_steps', 1, 0),
            figure('mask AP by class score', 'at_300.ap.score', 100, 1),
            figure('by class score × predicted IoU', 'at_300.ap.product', 100, 1),
            figure('by mask score', 'at_300.ap.mask_score', 100, 1),
            figure('by the oracle', 'at_300.ap.oracle', 100, 1),
            figure('by the true U', 'at_300.ap.unique', 100, 1),
            interval('gain (95 % interval), each seed', 'at_300.gain'),
            interval('gain at 100 detections', 'at_100.gain'),
            PEARSON,
            ECE,
        ),
    ),
    'comparison': Table(
        'comparison',
        (
            Column('score', titled, '---'),
            figure('mask AP', 'at_300.ap', 100, 1),
            interval('gain (95 % interval), each seed', 'at_300.gain'),
            interval('gain at 100 detections', 'at_100.gain'),
            PEARSON,
            ECE,
        ),
        studies=('scores_nuclei',),
    ),
    'comparison-demo': Table(
        'comparison',
        (Column('score', titled, '---'), *(gain_of(model) for model in DEMO_MODELS)),
        studies=('scores_demo',),
    ),
    'comparison-any': Table(
        'comparison',
        (
            Column('score', titled, '---'),
            figure('mask AP', 'at_100.ap', 100, 1),
            interval('gain (95 % interval)', 'at_100.gain'),
            PEARSON,
            ECE,
        ),
        studies=('scores_any',),
    ),
    'cached-heads': Table(
        'cached_heads',
        (
            RUN,
            MODEL,
            SEEDS,
            figure('mask AP', 'at_300.ap', 100, 1),
            figure('gain', 'at_300.gain.gain', 100, 2),
            interval('with its 95 % interval, each seed', 'at_300.gain'),
            figure('mask AP at 100 detections', 'at_100.ap', 100, 1),
            PEARSON,
            MAE,
            ECE,
        ),
    ),
    'fit-any': Table(
        'fit_any',
        (
            MODEL,
            figure('images', 'fit.detected_images', 1, 0),
            figure('steps', 'fit.head_steps', 1, 0),
            figure('mask AP by its own score', 'at_100.ap.score', 100, 1),
            figure('× mean probability', 'at_100.ap.prob', 100, 1),
            figure('× stability', 'at_100.ap.stability', 100, 1),
            figure('× predicted IoU', 'at_100.ap.product', 100, 1),
            figure('by mask score', 'at_100.ap.mask_score', 100, 1),
            figure('by the oracle', 'at_100.ap.oracle', 100, 1),
            figure('by the true U', 'at_100.ap.unique', 100, 1),
            interval('gain (95 % interval)', 'at_100.gain'),
            PEARSON,
            ECE,
        ),
    ),
    'export-ap': Table(
        'export',
        (
            Column('run by', titled, '---'),
            figure('detections', 'detections', 1, 0),
            figure('mask AP by class score', 'at_300.score', 100, 2),
            figure('by mask score', 'at_300.mask_score', 100, 2),
        ),
        studies=('export-ap',),
    ),
    'export-image': Table('export', FROM_RUNTIME, studies=('export-image',)),
    'export-head': Table('export', FROM_RUNTIME, studies=('export-head',)),
    'tta': Table(
        'tta',
        (
            Column('views', titled, '---'),
            figure('box AP', 'at_300.box.ap', 100, 1),
            interval('gain', 'at_300.box'),
            figure('mask AP by class score', 'at_300.class_score.ap', 100, 1),
            interval('gain', 'at_300.class_score'),
            figure('by mask score', 'at_300.mask_score.ap', 100, 1),
            interval('gain', 'at_300.mask_score'),
            figure('by class score × agreement', 'at_300.agreement.ap', 100, 1),
            interval('gain', 'at_300.agreement'),
            figure('time', 'ratio', 1, 1),
        ),
    ),
    'lesions': Table(
        'lesions',
        (
            RUN,
            MODEL,
            SEEDS,
            BOX_AP,
            figure('AP small by class score', 'figures.segm_mAP_cls_s', 100, 1),
            figure('by mask score', 'figures.segm_mAP_s', 100, 1),
            interval('against {run}', 'difference'),
            figure('recall by class score', 'figures.recall_score', 100, 1),
            figure('by mask score', 'figures.recall_mask_score', 100, 1),
            figure('mean dice by class score', 'figures.dice_score', 100, 1),
            figure('by mask score', 'figures.dice_mask_score', 100, 1),
            figure('false alarms an image by class score', 'figures.alarms_score', 1, 2),
            figure('by mask score', 'figures.alarms_mask_score', 1, 2),
            interval('gain (95 % interval)', 'gain'),
            figure('s an iteration', 'figures.seconds_per_iter', 1, 2),
        ),
        studies=('lesions',),
    ),
    'mask-rcnn': Table(
        'mask_rcnn',
        (
            RUN,
            MODEL,
            SEEDS,
            BOX_AP,
            BY_CLASS_SCORE,
            figure('AP75', 'figures.segm_mAP_cls_75', 100, 1),
            BY_MASK_SCORE,
            figure('AP75', 'figures.segm_mAP_75', 100, 1),
            figure('boundary AP', 'figures.boundary_mAP', 100, 1),
            interval('gain (95 % interval)', 'gain'),
            PEARSON,
            figure('s an iteration', 'figures.seconds_per_iter', 1, 2),
            figure('s an image', 'figures.seconds_per_image', 1, 2),
            figure('MiB an image', 'figures.extra_memory', 2**-20, 0),
        ),
    ),
    'small-nuclei': Table(
        'lesions',
        (
            RUN,
            MODEL,
            BY_CLASS_SCORE,
            BY_MASK_SCORE,
            interval('against {run}', 'difference'),
            figure('AP of the smallest quarter by class score', SMALLEST + 'AP_score', 100, 1),
            figure('by mask score', SMALLEST + 'AP_mask_score', 100, 1),
            figure(
                'recall of the smallest quarter by class score', SMALLEST + 'recall_score', 100, 1
            ),
            figure('by mask score', SMALLEST + 'recall_mask_score', 100, 1),
            figure(
                'mean dice of the smallest quarter by class score', SMALLEST + 'dice_score', 100, 1
            ),
            figure('by mask score', SMALLEST + 'dice_mask_score', 100, 1),
            figure(
                'false alarms of that size an image by class score', SMALLEST + 'alarms_score', 1, 2
            ),
            figure('by mask score', SMALLEST + 'alarms_mask_score', 1, 2),
            interval('gain (95 % interval)', 'gain'),
        ),
        studies=('small_nuclei',),
    ),
    'ablations': Table('ablations', (*ALL, interval('mask AP against {run}', 'difference'))),
}


def markdown(table: Table, records: Records) -> str:
    """A table of each study, below the study's title and what all its runs share."""
    studies = dict.fromkeys(record.get('study', '') for record in records)
    return '\n\n'.join(
        one_study(study, table.columns, [r for r in records if r.get('study', '') == study])
        for study in studies
        if table.studies is None or study in table.studies
    )


def one_study(name: str, columns: Sequence[Column], records: Records) -> str:
    study = SHOWN.get(name)
    order = [row.name for row in study.rows] if study else []
    order += [record['run'] for record in records]
    runs: dict[str, list[Mapping[str, Any]]] = {run: [] for run in order}
    for record in records:
        runs[record['run']].append(record)
    found = {c: [c.cell(of_run) for of_run in runs.values() if of_run] for c in columns}
    shown = {column: cells for column, cells in found.items() if set(cells) != {NOTHING}}
    shared = [column for column, cells in shown.items() if len(set(cells)) == 1 < len(cells)]
    said = ', '.join(f'{column.title} {shown.pop(column)[0]}' for column in shared)
    heading = ', all runs: '.join(filter(None, [study and f'*{study.title}*', said]))
    other = f'`{study.compare_with}`' if study else ''
    lines = [[column.title.format(run=other) for column in shown], [c.align for c in shown]]
    rows = [f'| {" | ".join(line)} |' for line in (*lines, *zip(*shown.values(), strict=True))]
    return '\n'.join([*([heading, ''] if heading else []), *rows])


def speed(path: Path) -> str:
    """The tables of the benchmark's record."""
    tables = speed_tables(json.loads(path.read_text(encoding='utf-8')))
    return '\n\n'.join(f'*{table.title}*\n\n{aligned(table)}' for table in tables)


def read(path: Path) -> Records:
    try:
        return json.loads(path.read_text(encoding='utf-8'))['runs']
    except (ValueError, LookupError, TypeError) as error:
        raise ValueError(f'{path} holds no records, {{"runs": [...]}}: {error!r}') from error


def fill(text: str, tables: Mapping[str, str]) -> str:
    """Puts each table between its markers.

    Raises:
        ValueError: a marker of an unknown table, or one without an end.
    """
    names = MARKER.findall(text)
    for name in names:
        if name not in tables:
            raise ValueError(
                f'<!-- results:{name} -->: there is no such table, only {list(tables)}'
            )
    if [match[2] for match in BLOCK.finditer(text)] != names:
        raise ValueError('a <!-- results:NAME --> needs an <!-- end of results --> below it')
    return BLOCK.sub(lambda match: f'{match[1]}\n{tables[match[2]]}\n\n{match[3]}', text)


def main(argv: Sequence[str] | None = None, root: Path = REPOSITORY) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--check', action='store_true', help='change nothing; exit 1 if out of date'
    )
    check = parser.parse_args(argv).check
    documents, old = [root / 'README.md', *sorted(root.glob('docs/**/*.md'))], []
    try:
        files = {name: root / 'results' / f'{table.results}.json' for name, table in TABLES.items()}
        tables = {
            name: markdown(TABLES[name], read(file)) if file.is_file() else NOT_YET
            for name, file in files.items()
        }
        tables['speed'] = speed(root / 'results' / 'speed.json')
        detectors = root / 'results' / 'speed_detectors.json'
        measured = detectors.is_file()
        tables['speed-detectors'] = speed(detectors) if measured else NOT_YET
        for path in documents:
            text = path.read_text(encoding='utf-8')
            try:
                wanted = fill(text, tables)
            except ValueError as error:
                raise ValueError(f'{path}: {error}') from error
            if wanted != text:
                old.append(path.relative_to(root))
                if not check:
                    path.write_text(wanted, encoding='utf-8')
    except (OSError, ValueError) as error:
        print(f'tables.py: {error}', file=sys.stderr)
        return 2
    for path in old:
        print(f'{path} is older than results/: run `make results`' if check else f'{path}: written')
    return 1 if check and old else 0


if __name__ == '__main__':
    sys.exit(main())
