"""Adds mask scores to a trained model: detects once, trains two heads, calibrates, judges."""

from __future__ import annotations

import copy
import itertools
import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_gather_object, all_reduce, get_rank, get_world_size
from numpy.typing import NDArray
from torch import Tensor

from ...checkpoints import write_checkpoint
from ...evaluation import BootstrapGain, MaskScoringResult, fit_iou_calibration
from ...files import atomic_write, require_writable
from ...models import calibrated_checkpoint
from .detections import Detections, detect
from .judging import Judge
from .processes import broadcast_object, joined_processes
from .scored_config import scored_config
from .start import LEAST_IMAGES, identity, scorer, trained_model, training_set
from .training import (
    BATCH,
    Pace,
    Targets,
    predict_logits,
    train_mask_iou_head,
    train_mask_rank_head,
)

DETECTING = 0.4  # of the minutes, at most
# Of the time that is left after detection, what has gone by when the MaskIoU heads are trained, and
# when the ranking head is. The rest is for judging. A MaskIoU head takes its share of what the ones
# before it have left: those of one half also predict.
HEADS_END, RANK_END = 0.8, 0.92
# The head of all images takes as long as those of one half each. Each process trains one tuple.
WEIGHTS = dict(half_0=1, half_1=1, head=2)
DIVISIONS = (
    (('half_0', 'half_1', 'head'),),
    (('head',), ('half_0', 'half_1')),
    (('head',), ('half_0',), ('half_1',)),
)
EPOCHS = 8  # of the MaskIoU head, at most, where minutes are given


@dataclass(frozen=True)
class Fit:
    """The outcome of a fit; the figures are those of the images held out."""

    checkpoint: Path
    config: Path  # runs the checkpoint
    pairs_file: Path  # the matches of the images held out
    result: MaskScoringResult
    gain: BootstrapGain  # mask AP by mask score minus by class score
    facts: dict[str, int]


@joined_processes()
def fit(
    config: str | os.PathLike,
    checkpoint: str | os.PathLike,
    out: str | os.PathLike,
    *,
    minutes: float = 15,
    steps: int | None = None,
    held_out: float = 0.15,
    cache_gb: float = 16,
    cfg_options: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Fit:
    """Adds mask scores to a trained model, and judges them on images held out.

    Detects in the training images as at test and keeps RoI features and masks in a folder beside
    ``out``. Trains the MaskIoU head on them, then the ranking head. The ranking head learns from
    IoUs that were predicted for images unseen: by two heads, each trained on one half of them.

    Under ``torchrun``, each process detects in its share of the images, up to three of them train
    MaskIoU heads, and all return the same.

    Args:
        config: of the trained model, with or without mask scores.
        checkpoint: its weights; all but the heads' are copied to the bit.
        out: checkpoint to write, ``.pth``; its config is written beside it.
        minutes: for all, divided between the stages.
        steps: of the MaskIoU head, in place of ``minutes``; then the outcome is reproducible.
        held_out: share of the images that judge and calibrate and teach nothing, a half at most.
        cache_gb: of RoI features and masks; images that do not fit are left out by chance.
        cfg_options: changes to the config, as ``--cfg-options`` gives them.
        seed: of initialisation, draws and the choice of images.

    Raises:
        ValueError: before any work: a config without a mask branch, a checkpoint of another model,
            an ``out`` that would be written over either, too few images, no annotations, detections
            of other weights or data in the folder.
        OSError: a missing file; a folder that cannot be written to.
    """
    begin, out = time.monotonic(), Path(out)
    _check_numbers(out, minutes, steps, held_out, cache_gb)
    _check_names(out, config, checkpoint)
    require_writable(out)
    fit_iou_calibration([0, 1], [0, 1])  # says now how to get scikit-learn
    cfg, text = scored_config(config, out.with_suffix('.py'), cfg_options)
    torch.manual_seed(seed)
    model, trained = trained_model(cfg, checkpoint)
    dataset, ann_file = training_set(cfg)
    with atomic_write(out.with_suffix('.py')) as stream:
        stream.write(text.encode())

    folder = out.with_name(f'{out.stem}_cache')
    order = np.random.default_rng(seed).permutation(len(dataset)).tolist()
    dataloader = cfg.test_dataloader
    detections = detect(
        model,
        dataset,
        order,
        folder,
        {**identity(cfg, trained, ann_file), 'seed': str(seed)},
        loader=dict(
            batch_size=dataloader.get('batch_size', 1), num_workers=dataloader.get('num_workers', 0)
        ),
        max_bytes=cache_gb * 1e9,
        seconds=math.inf if steps else DETECTING * 60 * minutes,
    )
    if len(detections.images) < LEAST_IMAGES:
        raise ValueError(
            f'only {len(detections.images)} images were detected in, {LEAST_IMAGES} are needed: '
            'give more --minutes or --cache-gb; the same command goes on from there'
        )
    judge = Judge(detections, ann_file, dataset.cat_ids)
    targets = judge.targets()
    count = len(detections.images)
    judged = np.arange(count) < np.clip(round(held_out * count), 2, count // 2)
    detected = time.monotonic()

    owner, prefix = scorer(model)
    length = f'{minutes:g}min' if steps is None else steps
    key = f'{count}-{judged.sum()}-{length}'
    schedule = _Schedule(folder, steps, detected, begin + 60 * minutes, key, _stages())
    logits, taken = _train_mask_iou_heads(owner, detections, targets, judged, schedule, seed)
    if get_rank():
        return broadcast_object(None)
    pace, file = schedule.of('rank')
    taken['rank_steps'] = train_mask_rank_head(
        owner.mask_rank_head,
        detections,
        targets,
        judge.matched_share(logits),
        logits,
        np.flatnonzero(~judged).tolist(),
        pace.seconds,
        file,
        seed=seed,
    )

    result, calibration = judge.judge(owner, targets, judged)
    pairs_file = out.with_suffix('.npz')
    result.matches.save(pairs_file)
    heads = {
        f'{prefix}{name}': value.cpu()
        for name, value in owner.state_dict().items()
        if name.startswith(('mask_iou_head.', 'mask_rank_head.'))
    }
    whole = calibrated_checkpoint(
        {**trained.weights, **heads}, calibration.knots.tolist(), calibration.values.tolist()
    )
    facts = dict(
        images=len(dataset),
        detected_images=len(judged),
        held_out_images=int(judged.sum()),
        detections=len(detections.image),
        **taken,
        detecting_seconds=round(detected - begin),
        seconds=round(time.monotonic() - begin),
    )
    meta = {**trained.meta, 'dataset_meta': dict(dataset.metainfo), 'msrcnn_fit': facts}
    write_checkpoint(out, whole['state_dict'], meta, trained.metadata)
    gain = result.matches.bootstrap()
    fitted = Fit(out, out.with_suffix('.py'), pairs_file, result, gain, facts)
    return broadcast_object(fitted)


def _check_numbers(
    out: Path, minutes: float, steps: int | None, held_out: float, cache_gb: float
) -> None:
    if out.suffix != '.pth':
        raise ValueError(f'{out}: end the name of the checkpoint to write in .pth')
    if not (minutes > 0 and cache_gb > 0 and 0 < held_out < 1 and (steps is None or steps > 0)):
        raise ValueError(
            f'minutes={minutes}, steps={steps}, cache_gb={cache_gb}: give more than 0; '
            f'held_out={held_out}: give a share between 0 and 1'
        )


def _check_names(out: Path, *given: str | os.PathLike) -> None:
    for new, old in zip((out.with_suffix('.py'), out), given, strict=True):
        if os.path.realpath(new) == os.path.realpath(old):
            raise ValueError(f'{new} would be written over what was given: give OUT another name')


def _stages() -> tuple[str, ...]:
    """Returns which MaskIoU heads this process trains, in their order."""
    division = DIVISIONS[min(get_world_size(), len(DIVISIONS)) - 1]
    return division[get_rank()] if get_rank() < len(division) else ()


@dataclass(frozen=True)
class _Schedule:
    """Divides steps or time between the stages, and names the files of their states."""

    folder: Path
    steps: int | None
    begin: float  # of ``time.monotonic``
    end: float
    key: str  # what a state depends on, beside the detections
    stages: tuple[str, ...]  # of the MaskIoU head that this process trains

    def of(self, stage: str, detections: int = 0) -> tuple[Pace, Path]:
        """Returns how long a stage lasts that learns from so many detections, and its file."""
        file = self.folder / f'{stage}-{self.key}.pth'
        if self.steps is not None:
            return Pace(self.steps if stage == 'head' else -(-self.steps // 2)), file
        end, share = RANK_END, 1.0
        if stage != 'rank':
            weights = [WEIGHTS[name] for name in self.stages[self.stages.index(stage) :]]
            end, share = HEADS_END, weights[0] / sum(weights)
        left = self.begin + end * (self.end - self.begin) - time.monotonic()
        return Pace(-(-EPOCHS * detections // BATCH), max(1.0, share * left)), file


def half_of_image(judged: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Divides the images between the heads of each half: (B,) 0 or 1, -1 for those judged."""
    images = np.flatnonzero(~judged)
    halves = np.full(len(judged), -1)
    halves[images] = np.arange(len(images)) % 2
    return halves


def _train_mask_iou_heads(
    owner: Any,
    detections: Detections,
    targets: Targets,
    judged: NDArray[np.bool_],
    schedule: _Schedule,
    seed: int,
) -> tuple[Tensor, dict[str, int]]:
    """Trains MaskIoU heads on the images that are not judged, each process its own.

    Returns:
        The logits (N,) of the IoUs that heads predict which have not seen the image, and the steps
        of each stage. Process 0 holds the head of all images.
    """
    half = torch.from_numpy(half_of_image(judged)[detections.image])
    learned = dict(half_0=half == 0, half_1=half == 1, head=half >= 0)
    titles = dict(half_0='MaskIoU head of half 1', half_1='MaskIoU head of half 2')
    begun = copy.deepcopy(owner.mask_iou_head)
    logits, taken = torch.zeros(len(half)), {}
    for stage in schedule.stages:
        head = owner.mask_iou_head if stage == 'head' else copy.deepcopy(begun)
        places = learned[stage].nonzero()[:, 0]
        pace, file = schedule.of(stage, len(places))
        title = titles.get(stage, 'MaskIoU head')
        taken[f'{stage}_steps'] = train_mask_iou_head(
            title, head, detections, targets, places, pace, file, seed=seed
        )
        if stage != 'head':
            unseen = (learned['head'] & ~learned[stage]).nonzero()[:, 0]
            logits[unseen] = predict_logits(head, detections, unseen)
    all_reduce(logits)
    taken = dict(itertools.chain(*(part.items() for part in all_gather_object(taken))))
    return logits, taken
