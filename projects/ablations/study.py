"""What a study is: rows that are compared with each other, each a change to a base config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# To at most 1 GB of detections, in some ten minutes on a core; the outcome does not depend on time.
SHORT_FIT = dict(steps=600, cache_gb=1.0)


@dataclass(frozen=True)
class Row:
    """One training and its test."""

    name: str
    title: str
    base: str  # below configs/
    changes: Mapping[str, Any] = field(default_factory=dict)
    paper: str | None = None  # the row of the paper that it repeats
    test: str | None = None  # tests the weights with another config, without the changes


@dataclass(frozen=True)
class Study:
    """Rows that are compared with each other."""

    name: str
    title: str
    results: str  # its records: results/NAME.json
    rows: tuple[Row, ...]
    seeds: tuple[int, ...] = (0,)
    trunk: Study | None = None  # its first row gives the weights that every row starts from
    compare_with: str | None = None  # the row whose mask AP the others' is compared with
    imports: tuple[str, ...] = ()  # modules that register parts of the rows
    measures: tuple[str, ...] = ()  # of scoring.MEASURES, beside what every test measures
    # Options of `msrcnn fit`, which adds a mask score to each trained model before its test.
    fit: Mapping[str, Any] | None = None
