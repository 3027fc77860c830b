"""Former name of `evaluate_checkpoint`, for the modules that still import it."""

from .evaluate_checkpoint import (  # noqa: F401
    PAIRS_NAME,
    RESULTS_PREFIX,
    build_runner,
    read_config,
    scoring_evaluators,
    type_name,
    writes_mask_scores,
)
from .evaluate_checkpoint import CheckpointEvaluation as ScoredTest  # noqa: F401
from .evaluate_checkpoint import evaluate_checkpoint as run_scored_test  # noqa: F401
