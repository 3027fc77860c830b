"""Derives the config of a model with mask scores from the config of the model without."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdet.registry import MODELS
from mmengine.config import Config, ConfigDict

from ... import models
from ...models import DetectorMaskScoringMixin, MaskScoringMixin
from ..evaluate_checkpoint import read_config, type_name


def _hosts(mixin: type) -> dict[str, str]:
    """Names mmdet's class and the plugin's, for each that the mixin scores."""
    found = [models.__dict__[name] for name in models.__all__]
    scoring = [one for one in found if isinstance(one, type) and issubclass(one, mixin)]
    return {
        base.__name__: one.__name__
        for one in scoring
        for base in [b for b in one.__mro__ if b.__module__.startswith('mmdet.')][:1]
    }


HOSTS = _hosts(MaskScoringMixin) | {'MaskScoringRoIHead': 'MSRoIHead'}
DETECTORS = _hosts(DetectorMaskScoringMixin)
# What the MaskIoU head learns: the IoU of detections, false ones included, by cross-entropy.
LEARNED = dict(
    count_zero_targets=True,
    loss_iou=dict(type='CrossEntropyLoss', use_sigmoid=True, avg_non_ignore=True, loss_weight=1.0),
)
WIDEST = 256  # the paper's convolutions


def scored_config(
    path: str | os.PathLike, out: Path, cfg_options: Mapping[str, Any] | None = None
) -> tuple[Config, str]:
    """Adds MaskIoU head, ranking head and calibration to the model of a config.

    Args:
        path: config of a model that predicts masks, with or without mask scores.
        out: where the new config will lie; it inherits from ``path``.
        cfg_options: changes to the config. With any, the new config is written out whole.

    Returns:
        The new config, and its text.

    Raises:
        ValueError: the model is none of the hosts.
    """
    cfg = read_config(path)
    cfg.merge_from_dict(dict(cfg_options or {}))
    changes = _changes(cfg)
    merged = Config(Config._merge_a_into_b(ConfigDict(changes), cfg._cfg_dict))
    merged.default_scope = merged.get('default_scope') or 'mmdet'
    if cfg_options or 'read_base' in Path(path).read_text():
        return merged, merged.pretty_text
    folder = os.path.abspath(out.parent)
    # `..` of a linked folder leads elsewhere.
    linked = os.path.realpath(folder) != folder
    base = os.path.abspath(path) if linked else os.path.relpath(path, folder)
    head = f'# {out.name} is run by this config; msrcnn fit wrote both.\n_base_ = {[base]!r}\n'
    return merged, head + Config(changes).pretty_text


def _changes(cfg: Config) -> dict[str, Any]:
    """Returns what differs from the user's config."""
    model = cfg.get('model', {})
    owner, name, width = _owner(model)
    heads: dict[str, dict[str, Any]] = dict(
        mask_iou_head=dict(
            type='MSMaskIoUHead', conv_out_channels=width, fc_out_channels=4 * width, **LEARNED
        ),
        mask_rank_head=dict(type='MSMaskRankHead'),
        mask_iou_calibration=dict(type='MaskIoUCalibration'),
    )
    for key, head in heads.items():
        if isinstance(owner.get(key), dict):
            head['_delete_'] = True
    imports = cfg.get('custom_imports') or {}
    modules = imports.get('imports') or ()
    modules = [modules] if isinstance(modules, str) else modules
    # The host's metric ranks by mask score alone: nobody would see what it gained.
    evaluators = {
        name: dict(type='MaskScoringMetric')
        for name in ('val_evaluator', 'test_evaluator')
        if isinstance(cfg.get(name), dict) and type_name(cfg[name].get('type')) == 'CocoMetric'
    }
    scored = dict(type=name, **heads)
    return dict(
        **evaluators,
        custom_imports=dict(
            imports=list(dict.fromkeys([*modules, 'msrcnn_plugin'])),
            allow_failed_imports=imports.get('allow_failed_imports', False),
        ),
        model=scored if owner is model else dict(roi_head=scored),
    )


def _owner(model: Any) -> tuple[Any, str, int]:
    """Finds what scores the masks: the RoI head's config, or that of a model without.

    Returns:
        the config, the name of its type with mask scoring, and the channels of its feature.
    """
    name = type_name(model.get('type'))
    if name in DETECTORS or _is_scoring(name, DetectorMaskScoringMixin):
        neck = model.get('neck') or {}
        neck = neck[-1] if isinstance(neck, (list, tuple)) else neck
        return model, DETECTORS.get(name, name), min(neck.get('out_channels', WIDEST), WIDEST)
    roi_head = model.get('roi_head')
    if not isinstance(roi_head, dict) or not roi_head.get('mask_head'):
        raise ValueError(
            f'the model of the config, {name}, has no RoI head with a mask branch, and no mask '
            f'scoring is known for it; there is for {", ".join(DETECTORS)}. Write `class MS{name}('
            f'DetectorMaskScoringMixin, {name})`, as docs/any.md shows, and name it in the config'
        )
    name = type_name(roi_head.get('type'))
    if name not in HOSTS and not _is_scoring(name, MaskScoringMixin):
        raise ValueError(
            f'no mask scoring is known for the RoI head {name}; there is for '
            f'{", ".join(HOSTS)}. Write `class MS{name}(MaskScoringMixin, {name})`, as '
            'docs/hosts.md shows, and name it in the config'
        )
    extractor = roi_head.get('mask_roi_extractor') or roi_head['bbox_roi_extractor']
    extractor = extractor[-1] if isinstance(extractor, (list, tuple)) else extractor
    return roi_head, HOSTS.get(name, name), min(extractor['out_channels'], WIDEST)


def _is_scoring(name: str, mixin: type) -> bool:
    registered = MODELS.get(name)
    return isinstance(registered, type) and issubclass(registered, mixin)
