"""One self-contained HTML page: what the scoring changed, how good it could be, where it lies.

`render_report` takes one `ReportedModel` or several and gives the page's text; `write_report` puts
it on disk. `Table`, `Cell` and `number` make further tables for it;
`overview_figure` and `markdown` give its gist to a document.
"""

from __future__ import annotations

import warnings
from typing import Any

from .figures import box_ap, figures_of
from .headline import headline, scoring_sentence
from .overview import markdown, overview_figure
from .page import render_report, write_report
from .reported_model import MASK_SCORE, ReportedModel
from .tables import Cell, Table, ap_table, number

__all__ = [
    'MASK_SCORE',
    'Cell',
    'ReportedModel',
    'Table',
    'ap_table',
    'box_ap',
    'figures_of',
    'headline',
    'markdown',
    'number',
    'overview_figure',
    'render_report',
    'scoring_sentence',
    'write_report',
]


def __getattr__(name: str) -> Any:
    if name == 'lead':
        warnings.warn('`lead` is now `headline`', DeprecationWarning, stacklevel=2)
        return headline
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
