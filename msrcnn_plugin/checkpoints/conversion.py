"""Converts one checkpoint's weights to this plugin's, and records each of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..models.mask_iou_calibration import CALIBRATION_NAME, HEAD_NAME
from ..models.mask_iou_head import LOGIT_ENTRY
from .authors import AUTHORS
from .files import Checkpoint, CheckpointError
from .mmdet_versions import MMDET
from .rules import Format, Weights
from .targets import HEAD, Target, head_target

FORMATS = (AUTHORS, MMDET)
ACTIONS = ('mapped', 'renamed', 'dropped', 'new')
# Names in an error before they are cut.
SHOWN = 5


@dataclass(frozen=True)
class Entry:
    """What became of a parameter.

    It is ``mapped`` under its own name, ``renamed``, ``dropped``, or ``new``: in the model and not
    in the file, for the training to initialise.
    """

    action: str
    source: str | None
    target: str | None
    note: str = ''

    def restricted_to(self, kept: Collection[str]) -> Entry:
        """Gives the entry of the same parameter in a model that has only those named ``kept``."""
        if self.target is None or self.target in kept:
            return self
        return Entry('dropped', self.source, None, 'not in the model')

    @property
    def kind(self) -> tuple[str, str, str, str]:
        """Action, layers and note, with * for every number, so that stacked layers are one."""
        return (self.action, _starred(self.source), _starred(self.target), self.note)


@dataclass(frozen=True)
class Conversion:
    """The converted weights by their new names, the checkpoint's meta, and the record."""

    format: Format
    weights: dict[str, Tensor]
    meta: dict[str, Any]
    metadata: Mapping[str, Any]
    entries: tuple[Entry, ...]

    def count(self, action: str) -> int:
        return sum(entry.action == action for entry in self.entries)

    def rows(self) -> list[tuple[str, str, str, str, int]]:
        """Counts the entries by kind: action, old layers, new layers, note, parameters."""
        counts = Counter(entry.kind for entry in self.entries)
        by_action = sorted(counts, key=lambda kind: ACTIONS.index(kind[0]))
        return [(*kind, counts[kind]) for kind in by_action]


def convert(checkpoint: Checkpoint, target: Target | None = None) -> Conversion:
    """Renames and lays out the weights of ``checkpoint`` as this plugin's, and checks their shapes.

    New parameters are not written. A loader then says that they are missing, and the training
    initialises them.

    Args:
        target: the names and shapes to fit; by default those of the MaskIoU head of the
            checkpoint's own model.

    Raises:
        CheckpointError: if the format is unknown, a name of it has no counterpart, or a shape does
            not fit.
    """
    form = recognise(checkpoint.weights)
    weights, entries = _apply(form, checkpoint.weights)
    target = target or head_target(weights)
    _require_shapes(weights, target)
    kept = {name: value for name, value in weights.items() if not _is_foreign(name, target)}
    entries = [entry.restricted_to(kept) for entry in entries]
    entries += [
        Entry('new', None, name, 'initialised by the training')
        for name in target.shapes
        if name not in weights
    ]
    metadata = _metadata(checkpoint, entries)
    return Conversion(form, kept, _meta(checkpoint, form), metadata, tuple(entries))


def recognise(weights: Weights) -> Format:
    """Recognises the format of parameters by their names."""
    for form in FORMATS:
        if form.recognise(weights):
            return form
    parts = Counter(name.split('.')[0] for name in weights)
    found = ', '.join(f'{part} ({count})' for part, count in parts.most_common(SHOWN))
    raise CheckpointError(
        f'no known two-stage model: {len(weights)} parameters, of {found}; expected one of '
        + ', '.join(form.name for form in FORMATS)
    )


def _apply(form: Format, weights: Weights) -> tuple[dict[str, Tensor], list[Entry]]:
    unknown = [name for name in weights if form.rule_of(name) is None]
    if unknown:
        raise CheckpointError(
            f'{_listed(unknown)} of {form.name} have no counterpart; expected an FPN model'
        )
    classes = form.class_count(weights)
    converted, entries = {}, []
    for name, value in weights.items():
        rule = form.rule_of(name)
        assert rule is not None
        new_name = rule.rename(name)
        if new_name is None:
            entries.append(Entry('dropped', name, None, rule.note))
            continue
        # A part of a tensor would be saved with all of it.
        new = rule.change(name, weights, classes).clone() if rule.change else value
        converted[new_name] = new
        action = 'mapped' if new_name == name else 'renamed'
        entries.append(Entry(action, name, new_name, rule.note))
    return converted, entries


def _require_shapes(weights: Weights, target: Target) -> None:
    wrong = [
        f'{name}: {tuple(weights[name].shape)}, the model has {tuple(shape)}'
        for name, shape in target.shapes.items()
        if name in weights and weights[name].shape != shape
    ]
    if wrong:
        fix = 'is it the config of this model?' if target.whole else 'give the config of the model'
        raise CheckpointError(f'shapes differ: {_listed(wrong)}; {fix}')


def _is_foreign(name: str, target: Target) -> bool:
    # A target has no counters of batch norms: one is there with its norm. Likewise a MaskIoU head's
    # weights have what they predict, and a calibration, beside them.
    known = re.sub(r'num_batches_tracked$', 'running_mean', name)
    known = re.sub(rf'{LOGIT_ENTRY}$', 'fc_mask_iou.weight', known)
    if f'.{CALIBRATION_NAME}.' in name:
        return not any(f'.{HEAD_NAME}.' in shape for shape in target.shapes)
    return target.covers(name) and known not in target.shapes


def _metadata(checkpoint: Checkpoint, entries: Collection[Entry]) -> Mapping[str, Any]:
    """Keeps the metadata of modules, unless their names changed.

    Weights under other names are of before this plugin: a MaskIoU head among them predicts the IoU.
    """
    if any(entry.action == 'renamed' for entry in entries):
        return {HEAD[:-1]: dict(predicts_logits=False)}
    return checkpoint.metadata


def _meta(checkpoint: Checkpoint, form: Format) -> dict[str, Any]:
    """Keeps the classes, mmengine's `dataset_meta` or mmcv's `CLASSES`, and adds the origin."""
    meta: Mapping[str, Any] = checkpoint.meta
    classes = {key.lower(): meta[key] for key in ('CLASSES', 'PALETTE') if key in meta}
    data_set = meta.get('dataset_meta', classes)
    origin = dict(converted_from=form.name)
    return dict(origin, dataset_meta=data_set) if data_set else origin


def _starred(name: str | None) -> str:
    layer = (name or '').rpartition('.')[0]
    return re.sub(r'\d+', '*', layer)


def _listed(names: Collection[str]) -> str:
    shown = ', '.join(list(names)[:SHOWN])
    return shown if len(names) <= SHOWN else f'{shown} and {len(names) - SHOWN} more'
