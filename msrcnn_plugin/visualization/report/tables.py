"""The tables of a page: cells that know how they are written and how they sort."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import compress

from ...evaluation import ScopeFigures, ScoreQuality
from ...evaluation.rankings import FIGURE_SUFFIXES, main_limit
from ..palette import grouped, written
from .headline import main_ap
from .reported_model import ReportedModel

AP_NAMES = ('AP', 'AP50', 'AP75', 'AP small', 'AP medium', 'AP large')


# Of a table; with LVIS' 1203 a page of a few models would be too large to open.
MOST_CLASSES = 200


@dataclass(frozen=True)
class Cell:
    """What stands in a table; ``value`` is what it sorts by, None for text."""

    text: str
    value: float | None = None
    strong: bool = False

    @property
    def key(self) -> str:
        """The number for the page's script; empty where undefined, which sorts last."""
        if self.value is None or math.isnan(self.value):
            return ''
        return repr(float(self.value))


@dataclass(frozen=True)
class Table:
    """Rows of cells under a head; a table may be given to `render_report` beside its own."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ''


def number(value: float | None, digits: int = 2, *, strong: bool = False) -> Cell:
    """A number; a dash where it is undefined or not given."""
    value = math.nan if value is None else value
    return Cell(written(value, digits), value, strong)


def count(value: int) -> Cell:
    return Cell(grouped(value), value)


def fact(value: float | str) -> Cell:
    """A further figure of a model, as `ReportedModel.facts` has it."""
    if isinstance(value, str):
        return Cell(value)
    return Cell('–' if math.isnan(value) else f'{value:.4g}', value)


def ap_table(models: Sequence[ReportedModel]) -> Table:
    """AP of the boxes, and of the same masks under each ranking, one line each."""
    rows = [row for model in models for row in _ap_rows(model)]
    head = ('model', 'of', 'ranked by', *AP_NAMES)
    # A column that says the same in every row says nothing.
    kept = [True] * len(head)
    kept[:2] = len(models) > 1, any(model.box_ap for model in models)
    return Table(
        'AP of the same masks under each ranking',
        tuple(compress(head, kept)),
        tuple(tuple(compress(row, kept)) for row in rows),
        f'In percent; bold is the ranking to use. The main AP counts {_limits(models, main_limit)} '
        f'detections an image, the others {_limits(models, lambda limits: limits[:3][-1])}.',
    )


def _limits(models: Sequence[ReportedModel], of: Callable[[Sequence[int]], int]) -> str:
    limits = {of(ranking.max_dets) for m in models for ranking in m.rankings.values()}
    return ' or '.join(str(limit) for limit in sorted(limits))


def _ap_rows(model: ReportedModel) -> list[tuple[Cell, ...]]:
    """Model, what is ranked, by which score, COCO's six."""
    name, rows = Cell(model.name), []
    if model.box_ap:
        boxes = [100 * model.box_ap.get(suffix, math.nan) for suffix in FIGURE_SUFFIXES]
        cells = (number(value, 1) for value in boxes)
        rows.append((name, Cell('boxes'), Cell(model.score_name), *cells))
    for key, ranking in model.rankings.items():
        strong = key == model.main_ranking
        cells = (number(100 * ap, 1, strong=strong) for ap in ranking.figures().values())
        rows.append((name, Cell('masks'), Cell(model.ranking_name(key), None, strong), *cells))
    return rows


def headroom_table(models: Sequence[ReportedModel]) -> Table | None:
    """How far each ranking goes from the class score to either ceiling."""
    rows = []
    for model in models:
        for name, shares in model.result.headroom().items():
            if name in model.rankings:
                ap = model.rankings[name].ap()
                gain = 100 * (ap - model.rankings['score'].ap())
                cells = (number(100 * share, 0) for share in shares.values())
                row = (Cell(model.name), Cell(model.ranking_name(name)), number(gain, 2), *cells)
                rows.append(row if len(models) > 1 else row[1:])
    if not rows:
        return None
    head = ('model', 'ranked by', 'AP points gained', '% of the oracle', '% of the best possible')
    return Table(
        'How much of what a score could gain',
        head if len(models) > 1 else head[1:],
        tuple(rows),
        'Over ranking by class score. The oracle knows the true IoU; the best possible ranking '
        'puts the best mask of each object first and all others last.',
    )


def measures_table(models: Sequence[ReportedModel]) -> Table | None:
    """Boundary AP where it was asked for, oLRP with its parts, and LaECE, by ranking."""
    bounded = any(model.result.boundary for model in models)
    rows = []
    for model in models:
        for name, errors in model.result.detection_errors.items():
            if name in model.rankings:
                row = [Cell(model.name), Cell(model.ranking_name(name))]
                if bounded:
                    boundary = model.result.boundary
                    figures = boundary.rankings[name].figures() if boundary else {}
                    row += [number(100 * figures.get(s, math.nan), 1) for s in ('', '_50', '_75')]
                row += [number(100 * value, 1) for value in errors.values()]
                rows.append(tuple(row if len(models) > 1 else row[1:]))
    if not rows:
        return None
    head = ['model', 'ranked by']
    head += ['boundary AP', 'boundary AP50', 'boundary AP75'] if bounded else []
    head += ['oLRP', '1 − IoU', 'false positives', 'missed', 'LaECE']
    note = (
        'In percent; of oLRP and LaECE less is better, both at IoU 0.5. The three columns after '
        'oLRP are its parts, at the best threshold of each class.'
    )
    for model in models:
        if model.result.boundary:
            mask_iou, boundary_iou = (
                written(result.mean_best_iou) for result in (model.result, model.result.boundary)
            )
            note += (
                f' {model.name}: the best mask of each object has a mean mask IoU of {mask_iou} '
                f'and a mean boundary IoU of {boundary_iou}.'
            )
    return Table(
        'At the boundary, and other measures' if bounded else 'Other measures',
        tuple(head if len(models) > 1 else head[1:]),
        tuple(rows),
        note,
    )


def facts_table(models: Sequence[ReportedModel]) -> Table | None:
    """One line a model: its main mask AP, how well its scores know the mask, its further facts."""
    names = list(dict.fromkeys(name for model in models for name in model.facts))
    if len(models) == 1 and not names:
        return None
    rows = tuple(
        (
            Cell(model.name),
            number(100 * main_ap(model), 1, strong=True),
            *_quality(model),
            *(fact(model.facts.get(name, math.nan)) for name in names),
        )
        for model in models
    )
    head = ('model', 'mask AP', 'ECE of its score', 'ECE of predicted IoU', 'correlation', *names)
    return Table('The models', head, rows)


def _quality(model: ReportedModel) -> tuple[Cell, ...]:
    quality = model.result.overall().quality
    predicted = quality.get('mask_iou')
    values = (None, None) if predicted is None else (predicted.ece, predicted.error.pearson)
    return (number(quality['score'].ece, 3), number(values[0], 3), number(values[1]))


def scope_table(model: ReportedModel) -> Table:
    """Detections, AP by ranking, calibration and error: overall, by size, by class."""
    result = model.result
    classes = result.by_class()
    shown = classes
    if len(classes) > MOST_CLASSES:
        shown = sorted(classes, key=lambda scope: -scope.detections)[:MOST_CLASSES]
    scopes = [result.overall(), *result.by_size(), *shown]
    aps = tuple(f'AP, {model.ranking_name(name)}' for name in model.rankings)
    head = ('', 'masks', 'detections', *aps, 'mean true IoU', f'ECE, {model.score_name}')
    columns = {'mask_iou': 'predicted IoU', **{name: name for name in model.other_scores}}
    columns = {key: name for key, name in columns.items() if key in model.matches.scores}
    for name in columns.values():
        head += (f'ECE, {name}', 'MAE', 'RMSE', 'Pearson', 'Spearman')
    if 'uncalibrated_mask_iou' in model.matches.scores:
        head += ('ECE, uncalibrated IoU',)
    rows = tuple(_scope_row(scope, tuple(model.rankings), tuple(columns)) for scope in scopes)
    note = f'The {len(shown)} of {len(classes)} classes with most detections.'
    return Table(
        f'{model.name}: all, by size, by class', head, rows, note if shown is not classes else ''
    )


def _scope_row(
    scope: ScopeFigures, rankings: tuple[str, ...], estimates: tuple[str, ...]
) -> tuple[Cell, ...]:
    before = scope.quality.get('uncalibrated_mask_iou')
    return (
        Cell('all' if scope.scope == 'all' else f'{scope.scope}', strong=scope.scope == 'all'),
        Cell(scope.name),
        count(scope.detections),
        *(number(100 * scope.ap[name], 1) for name in rankings),
        number(scope.mean_true_iou),
        number(scope.quality['score'].ece, 3),
        *(cell for name in estimates for cell in _estimate_cells(scope.quality[name])),
        *(() if before is None else (number(before.ece, 3),)),
    )


def _estimate_cells(quality: ScoreQuality) -> tuple[Cell, ...]:
    error = quality.error
    values = (quality.ece, error.mae, error.rmse, error.pearson, error.spearman)
    return tuple(number(value, 3) for value in values)
