"""A trained model, and what its config says about images and classes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import mmdet
import torch
from mmdet.apis import init_detector
from mmdet.models import DetDataPreprocessor
from mmengine.config import Config

from ..apis.evaluate_checkpoint import config_errors, load_weights, read_config, type_name
from ..apis.test_set import label_categories
from ..checkpoints import read_content
from .supported import require_supported

# Transforms that leave an image's pixels as they are.
NEUTRAL = ('LoadAnnotations', 'PackDetInputs')


def load_trained_model(
    config: str | os.PathLike,
    checkpoint: str | os.PathLike,
    cfg_options: Mapping[str, Any] | None = None,
) -> tuple[Any, dict[str, Any]]:
    """Loads a model on the CPU.

    Returns:
        the model, and the JSON that a runtime needs: the category of each label, how images are
        prepared, versions.

    Raises:
        ValueError: config and checkpoint do not belong together, the model is not supported, or
            images are prepared in a way that the runtime does not know.
    """
    cfg = read_config(config)
    cfg.merge_from_dict(dict(cfg_options or {}))
    read_content(checkpoint)  # refuses what is no checkpoint
    resize = _resize(cfg)
    with config_errors():
        model = init_detector(cfg, str(checkpoint), device='cpu')
    require_supported(model)  # before anything is read from its parts
    load_weights(model, checkpoint)  # mmdet lets weights be missing
    return model, dict(
        categories=label_categories(cfg, model.dataset_meta['classes']),
        resize=resize,
        **_preparation(model.data_preprocessor),
        mask_threshold=model.roi_head.test_cfg.mask_thr_binary,
        calibrated=getattr(model.roi_head, 'mask_iou_calibration', None) is not None,
        versions=dict(
            msrcnn_plugin=metadata.version('msrcnn_plugin'),
            mmdet=mmdet.__version__,
            torch=torch.__version__,
        ),
    )


def _preparation(preprocessor: Any) -> dict[str, Any]:
    if type(preprocessor) is not DetDataPreprocessor:
        raise ValueError(
            f'data_preprocessor is a {type(preprocessor).__name__}, not a DetDataPreprocessor: '
            'it cannot be exported'
        )
    normalized = preprocessor._enable_normalize
    return dict(
        mean=preprocessor.mean.flatten().tolist() if normalized else None,
        std=preprocessor.std.flatten().tolist() if normalized else None,
        swap_channels=bool(preprocessor._channel_conversion),
        pad_size_divisor=preprocessor.pad_size_divisor,
        pad_value=preprocessor.pad_value,
    )


def _resize(cfg: Config) -> dict[str, Any]:
    """Reads the size of test images out of the config's pipeline."""
    dataset = cfg.get('test_dataloader', {}).get('dataset', {})
    while 'dataset' in dataset:
        dataset = dataset['dataset']
    pipeline = dataset.get('pipeline') or cfg.get('test_pipeline') or []
    transforms = {type_name(step['type']): dict(step) for step in pipeline}
    for name in NEUTRAL:
        transforms.pop(name, None)
    load, resize = transforms.pop('LoadImageFromFile', {}), transforms.pop('Resize', {})
    for step in (load, resize):
        for key in ('type', 'backend_args', 'file_client_args'):
            step.pop(key, None)
    scale, keep_ratio = resize.pop('scale', None), resize.pop('keep_ratio', False)
    if transforms or load or resize or not isinstance(scale, (tuple, list)):
        raise ValueError(
            f'the test pipeline is {[type_name(step["type"]) for step in pipeline]}; expected '
            'LoadImageFromFile and Resize(scale=(width, height), keep_ratio=...) in their plain '
            'form: the runtime prepares images by them alone'
        )
    return dict(scale=list(scale), keep_ratio=keep_ratio)
