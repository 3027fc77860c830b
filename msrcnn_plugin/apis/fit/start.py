"""Builds and checks what a fit starts from: the trained model and its training set."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS, MODELS
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from torch import Tensor

from ...checkpoints.files import Checkpoint, read_checkpoint
from ...models import DetectorMaskScoringMixin
from ..evaluate_checkpoint import config_errors, first_lines, type_name
from ..test_set import annotation_file, check_test_set, image_folder, plain_datasets

HEADS = ('mask_iou_head', 'mask_rank_head', 'mask_iou_calibration')
LEAST_IMAGES = 20


def scorer(model: Any) -> tuple[Any, str]:
    """Finds what scores the masks, the model or its RoI head, and the prefix of its weights."""
    if isinstance(model, DetectorMaskScoringMixin):
        return model, ''
    return model.roi_head, 'roi_head.'


def is_of_heads(name: str) -> bool:
    """Tells whether a weight belongs to what is fitted."""
    return any(head in name.split('.') for head in HEADS)


def trained_model(cfg: Config, path: str | os.PathLike) -> tuple[Any, Checkpoint]:
    """Builds the model with untrained heads and the checkpoint's other weights, in eval mode.

    Raises:
        ValueError: of the weights outside the heads, one is missing, does not fit, or is no
            weight of the model.
    """
    init_default_scope(cfg.default_scope)
    with config_errors():
        model = MODELS.build(_without(cfg.model, ('mask_iou_calibration',)))
    checkpoint = read_checkpoint(path)
    weights = {name: value for name, value in checkpoint.weights.items() if not is_of_heads(name)}
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel('WARNING')  # not a paragraph for each parameter
    scorer(model)[0].mask_iou_head.init_weights()
    logger.setLevel(level)
    own = {
        name: value
        for name, value in model.state_dict().items()
        # Counters of batch norms are no weights; old files have none.
        if is_of_heads(name) or name.endswith('num_batches_tracked')
    }
    try:
        model.load_state_dict({**own, **weights})
    except RuntimeError as error:
        raise ValueError(
            f'{path} does not fit the model of the config: {first_lines(str(error))}. Give the '
            'checkpoint that was trained with this config'
        ) from error
    if torch.cuda.is_available():
        model.cuda()
    else:
        model = revert_sync_batchnorm(model)
    kept = Checkpoint(
        weights,
        checkpoint.meta,
        {k: v for k, v in checkpoint.metadata.items() if not is_of_heads(k)},
    )
    return model.eval().requires_grad_(False), kept


def training_set(cfg: Config) -> tuple[CocoDataset, str]:
    """Builds the training images with the test pipeline; also returns the annotation file.

    Raises:
        ValueError: none or several data sets, no COCO data set, too few images, no annotations, or
            broken files.
        FileNotFoundError: no annotation file, or a missing image.
    """
    train, test = (
        list(plain_datasets(cfg.get(f'{name}_dataloader', {}).get('dataset') or {}))
        for name in ('train', 'test')
    )
    file = annotation_file(train[0]) if len(train) == 1 else None
    if file is None or not test[0].get('pipeline'):
        raise ValueError(
            f"the config's train_dataloader names {len(train)} data sets; expected one, with an "
            'ann_file in COCO format, and a test_dataloader with a pipeline'
        )
    dataset = {**train[0], 'pipeline': test[0]['pipeline'], 'test_mode': True}
    check_test_set(
        Config(dict(test_evaluator=[dict(ann_file=file)], test_dataloader=dict(dataset=dataset)))
    )
    with config_errors():
        built = DATASETS.build(dataset)
    if not isinstance(built, CocoDataset):
        raise ValueError(f'{type_name(dataset["type"])} is no CocoDataset, which msrcnn fit needs')
    if len(built) < LEAST_IMAGES:
        raise ValueError(f'{file} has {len(built)} images: {LEAST_IMAGES} are needed to fit to')
    if not json.loads(Path(file).read_bytes()).get('annotations'):
        raise ValueError(f'{file} has no annotations to learn from')
    return built, file


def identity(cfg: Config, checkpoint: Checkpoint, file: str) -> dict[str, str]:
    """Returns digests of all that detections depend on, by what a message calls them."""
    model = _without(cfg.model, (*HEADS, 'train_cfg'))
    train = next(plain_datasets(cfg.train_dataloader.dataset))
    images = [image_folder(train), train.get('indices'), train.get('metainfo')]
    pipeline = next(plain_datasets(cfg.test_dataloader.dataset))['pipeline']
    return {
        'weights': weights_digest(checkpoint),
        'annotations': hashlib.sha256(Path(file).read_bytes()).hexdigest(),
        'images': hashlib.sha256(repr(images).encode()).hexdigest(),
        'settings': hashlib.sha256(repr((model, pipeline)).encode()).hexdigest(),
    }


def weights_digest(checkpoint: Checkpoint) -> str:
    """Returns a digest of names and values alone; the file of the same weights holds times, too."""
    digest = hashlib.sha256()
    for name, value in sorted(checkpoint.weights.items()):
        digest.update(name.encode() + _bytes(value))
    return digest.hexdigest()


def _without(cfg: Any, keys: Sequence[str]) -> dict[str, Any]:
    """Copies a config of a model or RoI head, and of the RoI head in it, without some keys."""
    kept = {key: value for key, value in cfg.items() if key not in keys}
    if kept.get('roi_head'):
        kept['roi_head'] = _without(kept['roi_head'], keys)
    return kept


def _bytes(value: Tensor) -> bytes:
    return value.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes()
