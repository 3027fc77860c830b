"""The test of a trained run, and its record: one JSON with every figure and what made it."""

from __future__ import annotations

import hashlib
import math
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from ..apis import KeptTest, ScoredTest, keep_outcome
from ..apis.kept_test import PACKAGE, device
from ..compat import HOST, installed_versions
from ..files import read_json, write_json
from .inputs import INPUTS_NAME
from .study import StudyRun


def score(run: StudyRun, provenance: Mapping[str, Any]) -> None:
    """Test the trained weights and write the record, after which the run is done."""
    trained, test = read_json(run.trained_file), kept_test(run)
    if not test.is_done:
        keep_outcome(test)
    found = test.load()
    record = dict(
        run=run.name,
        seed=run.seed,
        title=run.title,
        paper=run.paper,
        figures=for_json({**figures_of_test(found), **trained['figures']}),
        gain=for_json(mask_score_gain(found)),
        inputs=hashlib.sha256((run.folder / INPUTS_NAME).read_bytes()).hexdigest(),
        training=trained['provenance'],
        **provenance,  # of the test
    )
    # Last: with it the run is done.
    write_json(run.record_file, record)


def kept_test(run: StudyRun) -> KeptTest:
    """The test of the trained weights, done or not."""
    config = run.folder / 'test_config.py'
    run.test_cfg.dump(config)
    checkpoint = read_json(run.trained_file)['checkpoint']
    return KeptTest.of(config, run.train_folder / checkpoint, run.folder / 'test')


def figures_of_test(found: ScoredTest) -> dict[str, float]:
    """The metric's by their names in it; memory of the test is told from that of the training."""
    figures = {name.split('/', 1)[-1]: value for name, value in found.figures.items()}
    figures['test_peak_memory'] = figures.pop('peak_memory', math.nan)
    return figures


def mask_score_gain(found: ScoredTest) -> dict[str, float]:
    """Mask AP by mask score minus by class score, with its 95 % interval.

    Empty without a head, and where the one has been written over the other.
    """
    matches = found.result.matches
    if not {'mask_iou', 'mask_score'} <= set(matches.scores) or found.writes_mask_scores:
        return {}
    return asdict(matches.bootstrap('mask_score', 'score'))


def read_records(runs: Iterable[StudyRun]) -> list[dict[str, Any]]:
    """Of the runs that are done, in the order of the runs."""
    return [read_json(run.record_file) for run in runs if run.record_file.is_file()]


def provenance(command: str, jobs: int) -> dict[str, Any]:
    """What made the results: commit, command, versions, device, how many ran at once."""
    return dict(
        commit=commit(),
        command=command,
        versions={name: v for part in HOST for name, v in installed_versions(part).items()},
        device=device(),
        jobs=jobs,
    )


def commit() -> str | None:
    """Of the checkout that the package lies in, with "-dirty" where it is changed; None without."""
    command = ['git', 'describe', '--always', '--dirty', '--abbrev=40', '--exclude=*']
    try:
        done = subprocess.run(command, cwd=PACKAGE, capture_output=True, text=True)
    except OSError:  # no git
        return None
    return done.stdout.strip() or None


def for_json(figures: Mapping[str, float]) -> dict[str, float | None]:
    """NaN, which JSON does not know, as None."""
    return {name: None if math.isnan(value) else value for name, value in figures.items()}
