"""One self-contained HTML page: what the scoring changed, how good it could be, where it lies.

`render_report` takes one `ReportedModel` or several and gives the page's text; `write_report` puts
it on disk. `Table`, `Cell` and `number` make further tables for it.
"""

from .figures import box_ap, figures_of
from .lead import lead, scoring_sentence
from .page import render_report, write_report
from .reported_model import ReportedModel
from .tables import Cell, Table, number

__all__ = [
    'Cell',
    'ReportedModel',
    'Table',
    'box_ap',
    'figures_of',
    'lead',
    'number',
    'render_report',
    'scoring_sentence',
    'write_report',
]
