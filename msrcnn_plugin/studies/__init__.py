"""A study: a table of configs and seeds, trained and tested, with what each figure was made by."""

from .carrying_out import Progress, carry_out
from .comparison import with_differences
from .inputs import ChangedInputsError, prepare
from .lock import only_call_in
from .records import provenance, read_records
from .study import Study, StudyRun, read_study
from .summary import Spread, add_to_results, results_and_runs, spreads, summarised

__all__ = [
    'ChangedInputsError',
    'Progress',
    'Spread',
    'Study',
    'StudyRun',
    'add_to_results',
    'carry_out',
    'only_call_in',
    'prepare',
    'provenance',
    'read_records',
    'read_study',
    'results_and_runs',
    'spreads',
    'summarised',
    'with_differences',
]
