"""The names and shapes that converted weights must have."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import Tensor, nn

from ..models import MSMaskIoUHead
from ..models.mask_iou_head import LOGIT_ENTRY
from .files import CheckpointError

HEAD = 'roi_head.mask_iou_head.'
ROI_FEAT_SIZE = 14  # of the mask branch of every FPN model of mmdet


@dataclass(frozen=True)
class Target:
    """The shapes of a whole model, or of its MaskIoU head alone, by name."""

    shapes: Mapping[str, torch.Size]
    whole: bool

    def covers(self, name: str) -> bool:
        return self.whole or name.startswith(HEAD)


def model_target(config: Config) -> Target:
    """Finds the shapes of a config's model, which is built without memory for its weights."""
    if 'model' not in config:
        raise CheckpointError('the config has no model; expected a config of mmdet')
    init_default_scope(config.get('default_scope', 'mmdet'))
    with torch.device('meta'):
        return Target(_shapes(MODELS.build(config.model)), whole=True)


def file_target(path: str | os.PathLike) -> Target:
    """Finds the shapes of a config file's model.

    Raises:
        CheckpointError: if the file is no config, or its model cannot be built.
    """
    try:
        return model_target(Config.fromfile(path))
    except CheckpointError:
        raise
    # A config is a program, and its model may be of anyone's code: they raise whatever they like.
    except Exception as error:
        reason = ' '.join(str(error).split())
        raise CheckpointError(
            f'{path} cannot be used ({type(error).__name__}: {reason}); give a config of mmdet '
            'whose model can be built here'
        ) from error


def head_target(weights: Mapping[str, Tensor]) -> Target:
    """Finds the shapes of the default `MSMaskIoUHead` on a model with ``weights`` of mmdet's names.

    Raises:
        CheckpointError: if there is a MaskIoU head among the weights that is built otherwise.
    """
    first_conv = _find(r'roi_head\.mask_head(?:\.\d)?\.convs\.0\.conv\.weight', weights)
    classifier = _find(r'roi_head\.bbox_head(?:\.\d)?\.fc_cls\.weight', weights)
    with torch.device('meta'):
        head = MSMaskIoUHead(
            in_channels=first_conv.shape[1],
            roi_feat_size=ROI_FEAT_SIZE,
            num_classes=len(classifier) - 1,
        )
    shapes = _shapes(head, HEAD)
    given = {name for name in weights if name.startswith(HEAD)} - {HEAD + LOGIT_ENTRY}
    if given and given != set(shapes):
        differing = min(given ^ set(shapes))
        raise CheckpointError(
            f'the MaskIoU head in the file is not the default one (they differ in {differing}); '
            'give the config of the model (--config)'
        )
    return Target(shapes, whole=False)


def _shapes(module: nn.Module, prefix: str = '') -> dict[str, torch.Size]:
    # torch makes the counters of batch norms where a file has none. What a MaskIoU head predicts
    # is stated beside its weights, and is none itself.
    return {
        prefix + name: value.shape
        for name, value in module.state_dict().items()
        if not name.endswith(('num_batches_tracked', LOGIT_ENTRY))
    }


def _find(pattern: str, weights: Mapping[str, Tensor]) -> Tensor:
    for name, value in weights.items():
        if re.fullmatch(pattern, name):
            return value
    raise CheckpointError(
        f'no {pattern} among the weights, which tells the size of the MaskIoU head; '
        'give the config of the model'
    )
