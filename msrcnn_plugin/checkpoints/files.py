"""Reads the weights of a checkpoint file without running its code, and writes them atomically."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..compat import grants_types_by_name
from ..files import atomic_write

# Where a file keeps its weights: mmengine and mmcv, maskrcnn-benchmark and detectron2.
WEIGHT_KEYS = ('state_dict', 'model')
PARALLEL_PREFIX = 'module.'


class CheckpointError(ValueError):
    """The file is no checkpoint, or cannot be converted; the message says what was found."""


@dataclass(frozen=True)
class Checkpoint:
    """Weights by name, without the prefix of a parallel wrapper, and what the file says of them.

    ``metadata`` is torch's, by the name of a module: its version, and in files of before what a
    MaskIoU head predicts and its calibration.
    """

    weights: dict[str, Tensor]
    meta: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)


def read_checkpoint(path: str | os.PathLike) -> Checkpoint:
    """Reads the weights, without optimizer, schedulers, logs and the EMA hook's second copy.

    Raises:
        CheckpointError: as `read_content`, and if there are no weights in the file.
    """
    content = read_content(path)
    found = _weights_in(content, path)
    weights = {name: value for name, value in found.items() if isinstance(value, Tensor)}
    metadata = getattr(found, '_metadata', None) or {}
    if all(name.startswith(PARALLEL_PREFIX) for name in weights):
        weights, metadata = _without_prefix(weights), _without_prefix(metadata)
    meta = content.get('meta')
    return Checkpoint(weights, meta if isinstance(meta, Mapping) else {}, metadata)


def _without_prefix(named: Mapping[str, Any]) -> dict[str, Any]:
    # With a dot behind each, as in metadata the model itself is 'module'.
    return {f'{name}.'.removeprefix(PARALLEL_PREFIX)[:-1]: value for name, value in named.items()}


def read_content(path: str | os.PathLike) -> Mapping[str, Any]:
    """Reads all that is in a checkpoint (``weights_only=True``); no code of a pickle is run.

    Raises:
        CheckpointError: if the file is no checkpoint, or asks for more than weights and what
            `compat.allow_own_checkpoints` grants.
    """
    try:
        content = torch.load(path, map_location='cpu', weights_only=True)
    except OSError:
        raise
    # Bytes that are no pickle fail in ways of their own: KeyError, IndexError, EOFError, ...
    except Exception as error:
        reason = (str(error).splitlines() or [''])[0]
        raise CheckpointError(
            f'{path} cannot be read as weights alone ({type(error).__name__}: {reason}); expected '
            'what torch.save makes of weights. Where you trust the file, save its weights by '
            f"themselves: torch.save(dict(state_dict=...), 'weights.pth'){_of_an_older_torch()}"
        ) from error
    if not isinstance(content, Mapping):
        raise CheckpointError(f'{path} holds a {type(content).__name__}; expected weights by name')
    return content


def _of_an_older_torch() -> str:
    if grants_types_by_name():
        return ''
    return (
        f'. This is torch {torch.__version__}, which reads weights and nothing beside them; 2.6 or '
        'newer also reads the logs in what mmengine saved while training'
    )


def _weights_in(content: Mapping[str, Any], path: Any) -> Mapping[str, Any]:
    found = next((content[key] for key in WEIGHT_KEYS if key in content), content)
    if not isinstance(found, Mapping) or not any(isinstance(v, Tensor) for v in found.values()):
        keys = ', '.join(map(str, list(content)[:8])) or 'nothing'
        raise CheckpointError(
            f'{path} holds {keys}; expected weights by name, under '
            f'{" or ".join(map(repr, WEIGHT_KEYS))} or at the top'
        )
    return found


def write_checkpoint(
    path: str | os.PathLike,
    weights: Mapping[str, Tensor],
    meta: Mapping[str, Any],
    metadata: Mapping[str, Any],
) -> None:
    """Writes a checkpoint of mmengine; ``path`` is there when all of it is, or not at all."""
    state_dict: Any = OrderedDict(weights)
    state_dict._metadata = OrderedDict(metadata)
    with atomic_write(path) as stream:
        torch.save(dict(meta=dict(meta), state_dict=state_dict), stream)
