"""The page: one HTML text that needs no network and no other file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup
from matplotlib.figure import Figure

from ...files import atomic_write
from ..gallery import GT_COLOUR, PREDICTION_COLOUR, Gallery, MisjudgedMask, draw_misjudged
from ..palette import DARK, grouped, written
from .headline import headline, scoring_sentence
from .inline_pictures import colour_variable, inline_jpeg
from .pictures import sections
from .reported_model import ReportedModel
from .tables import Table, ap_table, facts_table, headroom_table, measures_table, scope_table

CASE_INCHES = 2.2
MOST_BYTES = 5e6  # what mail and code hosts still show


@dataclass(frozen=True)
class _Case:
    """A misjudged mask as the page shows it."""

    picture: str  # data URI
    label: str
    name: str
    numbers: tuple[tuple[str, str], ...]


def render_report(
    models: Sequence[ReportedModel],
    *,
    title: str = 'Mask scoring report',
    tables: Sequence[Table] = (),
    command: str = '',
) -> str:
    """One self-contained HTML page about one model, or several side by side.

    Args:
        models: at least one, of different names, in the order of the page.
        tables: further tables, shown after the page's own.
        command: what made the page, for its foot.

    Raises:
        ValueError: no model, or two of one name; a page of more than 5 MB.
    """
    names = [model.name for model in models]
    if not names or len(set(names)) < len(names):
        raise ValueError(f'models {names}: give at least one, each under another name')
    own = [table(models) for table in (ap_table, headroom_table, facts_table, measures_table)]
    page = _template().render(
        title=title,
        # No line ends within Mask R-CNN.
        headline=headline(models).replace('-', '\u2011'),
        summaries=[_summary(model) for model in models],
        tables=[table for table in own if table is not None] + list(tables),
        sections=sections(models),
        galleries=[_gallery(model, model.gallery) for model in models if model.gallery is not None],
        scope_tables=[scope_table(model) for model in models],
        several=len(models) > 1,
        colours=[(colour_variable(light), light, dark) for light, dark in DARK.items()],
        gt_colour=GT_COLOUR,
        prediction_colour=PREDICTION_COLOUR,
        command=command,
    )
    size = len(page.encode())
    if size > MOST_BYTES:
        raise ValueError(
            f'the page would take {size / 1e6:.1f} MB, expected {MOST_BYTES / 1e6:.0f} at most: '
            'give it fewer models or galleries of fewer masks'
        )
    return page


def write_report(path: str | os.PathLike, page: str) -> None:
    """Writes the page; the file appears whole or not at all."""
    with atomic_write(path) as stream:
        stream.write(page.encode())


def _template() -> Template:
    loader = PackageLoader(__package__, 'page')
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals['read'] = lambda name: Markup(loader.get_source(environment, name)[0])
    return environment.get_template('report.html')


def _summary(model: ReportedModel) -> dict[str, str]:
    """A model's name, its sentence, and how much was evaluated."""
    matches = model.matches
    parts = [f'{grouped(len(matches))} masks']
    if len(matches.gt_crowd):
        parts.append(f'{grouped(int((~matches.gt_crowd).sum()))} objects')
    classes = len(matches.category_ids)
    parts.append(f'{classes} class{"es" * (classes != 1)}')
    return dict(name=model.name, sentence=scoring_sentence(model), size=', '.join(parts))


def _gallery(model: ReportedModel, gallery: Gallery) -> dict[str, Any]:
    return dict(
        name=model.name,
        score=model.score_name,
        overrated=[_case(model, case) for case in gallery.overrated],
        underrated=[_case(model, case) for case in gallery.underrated],
    )


def _case(model: ReportedModel, case: MisjudgedMask) -> _Case:
    figure = Figure(figsize=(CASE_INCHES, CASE_INCHES))
    draw_misjudged(figure.add_axes((0, 0, 1, 1)), case)
    numbers = [(model.score_name, written(case.class_score))]
    if case.predicted_iou is not None:
        numbers.append(('predicted IoU', written(case.predicted_iou)))
    numbers.append(('true IoU', written(case.true_iou)))
    name = f'{case.class_name}, {case.image_name}'
    label = name + ': ' + ', '.join(f'{what} {value}' for what, value in numbers)
    return _Case(inline_jpeg(figure), label, name, tuple(numbers))
