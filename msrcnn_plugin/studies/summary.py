"""Mean and spread over the seeds of a study, and the file that keeps them for several studies."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..files import read_json, write_json

# Of the figures of a run, those that a results file has. AP as fractions.
SUMMARISED = (
    'bbox_mAP',
    'segm_mAP',
    'segm_mAP_cls',
    'segm_mAP_iou',
    'segm_mAP_oracle',
    'gain',
    'mask_iou_pearson',
    'mask_iou_mae',
    'mask_iou_ece',
    'cls_score_ece',
    'seconds_per_iter',
)
# What depends on how many trainings share the machine.
TIMES = ('seconds_per_iter',)


@dataclass(frozen=True)
class Spread:
    """Of one figure over the seeds.

    ``std`` is that of a sample (n - 1 below the line), None with a single seed.
    """

    mean: float
    std: float | None
    seeds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one value.

        Example:
            >>> Spread.of([0.25, 0.5, 0.75])
            Spread(mean=0.5, std=0.25, seeds=3)
        """
        std = statistics.stdev(values) if len(values) > 1 else None
        return cls(statistics.fmean(values), std, len(values))


def spreads(records: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Spread]]:
    """By run, then by figure; the gain with the others. What a model has not is left out.

    So is the time of an iteration where not all trainings shared the machine with as many others.
    """
    records = list(records)
    left_out = TIMES if len(set(map(_jobs, records))) > 1 else ()
    values: dict[str, dict[str, list[float]]] = {}
    for record in records:
        gain = {'gain': record['gain']['gain']} if record['gain'] else {}
        of_run = values.setdefault(record['run'], {})
        for figure, value in {**record['figures'], **gain}.items():
            if value is not None and figure not in left_out:
                of_run.setdefault(figure, []).append(value)
    return {
        run: {figure: Spread.of(found) for figure, found in of_run.items()}
        for run, of_run in values.items()
    }


def summarised(records: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """What a results file has of one study: run -> figure -> mean, std and number of seeds."""
    return {
        run: {figure: asdict(found[figure]) for figure in SUMMARISED if figure in found}
        for run, found in spreads(records).items()
    }


def add_to_results(path: Path, size: str, records: Sequence[Mapping[str, Any]]) -> Path:
    """Put a study's summary under ``size`` into the results file, beside those of other studies.

    The records themselves, which say by which commit and command each figure was made, go the same
    way into ``NAME.runs.json`` beside it.

    Returns:
        the path of the records.
    """
    kept = results_and_runs(path)
    for (file, sizes), content in zip(kept.items(), (list(records), summarised(records))):
        write_json(file, {**sizes, size: content})
    return runs_file(path)


def results_and_runs(path: Path) -> dict[Path, dict[str, Any]]:
    """What the file of the records and the results file hold; nothing where they are not yet."""
    files = (runs_file(path), path)
    return {file: read_json(file) if file.is_file() else {} for file in files}


def runs_file(path: Path) -> Path:
    """Of the records, beside a results file."""
    return path.with_suffix('.runs.json')


def _jobs(record: Mapping[str, Any]) -> int | None:
    """Of its training; of all of it where the record does not tell them apart."""
    return record.get('training', record).get('jobs')
