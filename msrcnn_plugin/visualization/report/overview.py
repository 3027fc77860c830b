"""The page in one picture and one table, for a document that is no page."""

from __future__ import annotations

from collections.abc import Iterable

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from ...evaluation import joint_density
from ..palette import INK, SIZE_INCHES, VERBATIM
from ..score_plots import draw_ap_gain, draw_density
from .pictures import PAPERS_LOW, ap_curve
from .reported_model import ReportedModel
from .tables import Table


def overview_figure(model: ReportedModel) -> Figure:
    """Score against true IoU before and after scoring, and what each ranking gains.

    The panel after scoring is left out where there is no mask score. The ground is white.
    """
    matches = model.matches
    names = ['score', 'mask_score'] if model.has_mask_score else ['score']
    scores = {name: matches.scores[name] for name in names}
    count = len(scores) + 1
    layout = ConstrainedLayoutEngine(wspace=0.06, w_pad=0.1)
    figure = Figure(figsize=(count * SIZE_INCHES[0], SIZE_INCHES[1] + 0.3), layout=layout)
    *panels, last = figure.subplots(1, count, squeeze=False)[0]
    for ax, (name, values) in zip(panels, scores.items()):
        density = joint_density(values, matches.true_iou, low=PAPERS_LOW)
        draw_density(ax, density, model.style(name))
        _head(ax, f'{model.ranking_name(name)} against true IoU')
    curves = {name: ap_curve(model, name) for name in model.rankings}
    draw_ap_gain(last, [c for name, c in curves.items() if name != 'score'], curves['score'])
    _head(last, f'mask AP, points over {model.score_name}')
    return figure


def _head(ax: Axes, text: str) -> None:
    title = text[0].upper() + text[1:]
    ax.set_title(title, color=INK, fontsize=11, loc='left', pad=22, **VERBATIM)


def markdown(table: Table) -> str:
    """The table as Markdown, its columns aligned for the terminal as well."""
    cells = [
        [f'**{cell.text}**' if cell.strong else cell.text for cell in row] for row in table.rows
    ]
    numeric = [any(row[i].value is not None for row in table.rows) for i in range(len(table.head))]
    widths = [max(map(len, column)) for column in zip(table.head, *cells)]
    rule = [
        '-' * (width - 1) + ':' if right else '-' * width for width, right in zip(widths, numeric)
    ]

    def line(row: Iterable[str]) -> str:
        aligned = (
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(row, widths, numeric)
        )
        return f'| {" | ".join(aligned)} |'

    return '\n'.join([line(table.head), line(rule), *map(line, cells)])
