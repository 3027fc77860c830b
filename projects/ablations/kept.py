"""What studies of scores share: a model of ``msrcnn fit``, and what it detects, once for all.

``N`` detections of ``B`` images, in the order of `Detections`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from numpy.typing import NDArray
from torch import Tensor

from msrcnn_plugin.apis.evaluate_checkpoint import load_weights, read_config
from msrcnn_plugin.apis.fit.detections import Detections, detect
from msrcnn_plugin.apis.fit.judging import Judge
from msrcnn_plugin.apis.fit.start import identity, scorer, trained_model, training_set
from msrcnn_plugin.apis.fit.training import predict_logits
from msrcnn_plugin.checkpoints import read_checkpoint
from msrcnn_plugin.evaluation import Matches, expected_calibration_error, iou_error
from msrcnn_plugin.models.mask_scoring import with_host_sizes
from projects.ablations.fit_study import LIMITS

RESAMPLES = 1000


@dataclass(frozen=True)
class Found:
    """The detections of a data set, and what a ranking of them is worth."""

    detections: Detections
    file: str  # of the annotations
    categories: list[Any]  # of the labels

    @cached_property
    def judge(self) -> Judge:
        return Judge(self.detections, self.file, self.categories)

    @cached_property
    def matches(self) -> Matches:
        return self.judge.evaluate(np.ones(len(self.detections.images), dtype=bool)).matches

    def ranking(self, scores: str | Tensor) -> str | NDArray[np.float64]:
        """Scores (N,) in the order of the matches; the name of a ranking stays."""
        if isinstance(scores, str):
            return scores
        return scores.double().numpy()[self.matches.result_index]

    def ap(self, scores: str | Tensor, limit: int = LIMITS[-1]) -> float:
        return self.matches.rank(self.ranking(scores)).ap(max_dets=limit)

    def figures(self, scores: str | Tensor, ious: Tensor | None = None) -> dict[str, Any]:
        """What a record says of a ranking: AP and its gain over the class score at each limit.

        Args:
            ious: (N,) in [0, 1]; then also how well they estimate the true IoU.
        """
        ranking, found = self.ranking(scores), {}
        for limit in LIMITS:
            gain = self.matches.bootstrap(ranking, max_dets=limit, resamples=RESAMPLES)
            found[f'at_{limit}'] = dict(ap=self.ap(scores, limit), gain=asdict(gain))
        if ious is not None:
            pair = self.ranking(ious), self.matches.true_iou
            error, ece = iou_error(*pair), expected_calibration_error(*pair)
            figures = dict(pearson=error.pearson, mae=error.mae, ece=ece)
            found['figures'] = {f'mask_iou_{k}': v if v == v else None for k, v in figures.items()}
        return found


@dataclass(frozen=True)
class Kept:
    """A fitted model and its detections."""

    owner: Any  # of the heads
    prefix: str  # of the names of the owner's weights
    trunk: Mapping[str, Tensor]  # the weights outside the heads
    cache: Path  # of the training images' detections; also holds the states of the fit
    train: Found
    held_out: Found  # the first images of these, which taught the heads nothing
    test: Found

    def new_head(self, cfg: Mapping[str, Any]) -> Any:
        """Builds an untrained MaskIoU head in the place of the fitted one."""
        fitted, names = self.owner.mask_iou_head, ('in_channels', 'roi_feat_size', 'num_classes')
        sizes = {name: getattr(fitted, name) for name in names}
        head = MODELS.build(with_host_sizes(dict(cfg), sizes))
        head.init_weights()
        return head.to(next(fitted.parameters()).device)


def predicted_ious(head: Any, detections: Detections) -> Tensor:
    """The IoUs (N,) in [0, 1] that a MaskIoU head predicts."""
    found = predict_logits(head, detections, torch.arange(len(detections.image)))
    return found.sigmoid() if head.predicts_logits else found.clamp(0, 1)


def read_kept(fitted: Path, start: Path | None = None) -> Kept:
    """Reads what a fit left, and detects in the test images of its config, the first time.

    Args:
        fitted: checkpoint of ``msrcnn fit``, with its config and its cache beside it. What is
            detected in the test images is kept there as well.
        start: the checkpoint that it was fitted to; a cache of another one is refused.

    Raises:
        ValueError: no fit, or a cache of another model, data set or fit.
    """
    cfg = read_config(fitted.with_suffix('.py'))
    cache = fitted.with_name(f'{fitted.stem}_cache')
    facts = read_checkpoint(fitted).meta.get('msrcnn_fit')
    if not facts or not cache.is_dir():
        raise ValueError(f'{fitted} is no checkpoint of msrcnn fit with its {cache.name} beside it')
    model, trunk = trained_model(cfg, start or fitted)
    load_weights(model, fitted)
    owner, prefix = scorer(model)
    loader = cfg.test_dataloader

    def found_in(dataloader: Any, folder: Path, kept: int | None = None) -> Found:
        """Reads the detections of as many images as are kept; else detects in all."""
        dataset, file = training_set(
            Config(dict(train_dataloader=dataloader, test_dataloader=loader))
        )
        detections = detect(
            model,
            dataset,
            () if kept else range(len(dataset)),
            folder,
            identity(cfg, trunk, file),
            loader=dict(
                batch_size=loader.get('batch_size', 1), num_workers=loader.get('num_workers', 0)
            ),
            max_bytes=0 if kept else math.inf,
            seconds=math.inf,
        )
        if len(detections.images) != (kept or len(dataset)):
            raise ValueError(
                f'{folder} holds detections of {len(detections.images)} images, expected '
                f'{kept or len(dataset)}: fit again, or make room on the disk'
            )
        return Found(detections, file, dataset.cat_ids)

    train = found_in(cfg.train_dataloader, cache, facts['detected_images'])
    # The fit holds out its first images. Their rows of the cache are the first ones.
    first = replace(train.detections, images=train.detections.images[: facts['held_out_images']])
    held_out = replace(train, detections=first)
    test = found_in(loader, fitted.with_name(f'{fitted.stem}_test_cache'))
    return Kept(owner, prefix, trunk.weights, cache, train, held_out, test)
