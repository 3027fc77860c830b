"""The rules of a checkpoint format: which names it has, and what becomes of names and values.

Class layouts: ``K`` foreground classes. The authors' class layers have ``K + 1`` classes, the
background first; mmdet's classifier alone has it, as the last.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from .files import CheckpointError

Weights = Mapping[str, Tensor]
# Of a name, all the weights, and K: the new value.
Change = Callable[[str, Weights, int], Tensor]


@dataclass(frozen=True)
class Rule:
    """Says what becomes of the parameters whose whole name fits ``pattern``.

    Args:
        target: the new name, as `re.sub` takes it; None drops the parameter.
        note: remark in the report.
        change: computes the new value; the same by default.
    """

    pattern: str
    target: str | Callable[[re.Match], str] | None
    note: str = ''
    change: Change | None = None

    def fits(self, name: str) -> bool:
        return re.fullmatch(self.pattern, name) is not None

    def rename(self, name: str) -> str | None:
        return None if self.target is None else re.sub(f'^{self.pattern}$', self.target, name)


@dataclass(frozen=True)
class Format:
    """A family of checkpoints.

    Args:
        name: as the report calls it.
        recognise: whether parameters of these names are of this format.
        classifier: pattern of the classifier's weight, (K + 1, ...).
        rules: the first that fits a name has it.
        remarks: what no weight can carry, for the report.
    """

    name: str
    recognise: Callable[[Collection[str]], bool]
    classifier: str
    rules: tuple[Rule, ...]
    remarks: tuple[str, ...] = ()

    def rule_of(self, name: str) -> Rule | None:
        return next((rule for rule in self.rules if rule.fits(name)), None)

    def class_count(self, weights: Weights) -> int:
        """Counts the foreground classes ``K``."""
        for name, value in weights.items():
            if re.fullmatch(self.classifier, name):
                return len(value) - 1
        raise CheckpointError(
            f'this is a checkpoint of {self.name} without a classifier ({self.classifier}); '
            'expected a whole two-stage model'
        )


def background_last(name: str, weights: Weights, classes: int) -> Tensor:
    """Moves the background row of (K + 1, ...) to the end, as mmdet has it."""
    return torch.roll(weights[name], -1, 0)


def without_background(rows_per_class: int) -> Change:
    """Drops the background of (K + 1) * rows_per_class rows; class-agnostic layers stay."""

    def change(name: str, weights: Weights, classes: int) -> Tensor:
        value = weights[name]
        if len(value) == rows_per_class:
            return value
        if len(value) != rows_per_class * (classes + 1):
            raise CheckpointError(
                f'{name} has {len(value)} rows; expected {rows_per_class * (classes + 1)}, '
                f'{rows_per_class} for each of the {classes} classes and the background'
            )
        return value[rows_per_class:]

    return change
