"""Trains the MaskIoU head and the ranking head on kept detections."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from ...compat import computes_in_bfloat16
from ...files import atomic_write
from ...geometry import MaskIoUTarget, gather_by_label
from ...progress import progress_bar
from .detections import Detections

BATCH = 128  # detections a step of the MaskIoU head
RANKED_IMAGES = 8  # a step of the ranking head
RANK_EPOCHS = 12
MIXED = 0.2  # how much the numbers of detections in a step may differ
# A detection's chance to be drawn is its class score to this power: AP counts the surer ones more.
SCORE_POWER = 0.5
LEAST_SCORE = 1e-6
PREDICTED = 512  # detections a forward
WARMUP = 0.05  # of the training
SAVED_AFTER = 30.0  # seconds
TICKS = 1000


@dataclass(frozen=True)
class Pace:
    """How long a training lasts: so many steps, or so many seconds where those end first."""

    steps: int
    seconds: float = math.inf


@dataclass(frozen=True)
class Targets:
    """What is learned of ``N`` detections; evaluation ignores those not ``counted``."""

    true_iou: Tensor  # (N,)
    counted: Tensor  # (N,) bool


def train(
    title: str,
    module: nn.Module,
    loss_of: Callable[[int], Tensor],
    pace: Pace,
    file: Path,
    *,
    lr: float,
    weight_decay: float = 0.05,
) -> int:
    """Trains with AdamW: a warm-up, then a cosine down to 0. Goes on from ``file``.

    Args:
        loss_of: computes the loss of a step. It draws by the step's number, so that a training that
            goes on sees what it would have seen.
        file: where the state is kept, a finished training's as well.

    Returns:
        The steps taken.
    """
    module.requires_grad_(True)
    optimizer = torch.optim.AdamW(module.parameters(), lr=lr, weight_decay=weight_decay)
    state: dict[str, Any] = dict(step=0, progress=0.0)
    if file.is_file():
        state = torch.load(file, weights_only=True)
        module.load_state_dict(state['module'])
        optimizer.load_state_dict(state['optimizer'])
    step, progress, first = state['step'], state['progress'], state['progress']
    begin = saved = time.monotonic()

    def save() -> None:
        kept = dict(step=step, progress=progress)
        states = dict(module=module.state_dict(), optimizer=optimizer.state_dict())
        with atomic_write(file) as stream:
            torch.save({**kept, **states}, stream)

    module.train()
    with progress_bar(title, TICKS) as counted:
        tick, ticked = counted(lambda: None), 0
        while progress < 1:
            warm = min(1.0, (progress + 1e-3) / WARMUP)
            for group in optimizer.param_groups:
                group['lr'] = lr * warm * 0.5 * (1 + math.cos(math.pi * progress))
            optimizer.zero_grad()
            loss_of(step).backward()
            nn.utils.clip_grad_norm_(module.parameters(), 5.0)
            optimizer.step()
            step, now = step + 1, time.monotonic()
            timed = first + (1 - first) * (now - begin) / pace.seconds
            progress = max(step / pace.steps, timed if pace.seconds < math.inf else 0.0)
            if now - saved > SAVED_AFTER:
                save()
                saved = now
            while ticked < min(1, progress) * TICKS:
                tick()
                ticked += 1
    save()
    module.eval()
    return step


def train_mask_iou_head(
    title: str,
    head: Any,
    detections: Detections,
    targets: Targets,
    chosen: Tensor,
    pace: Pace,
    file: Path,
    *,
    seed: int,
    score_power: float = SCORE_POWER,
) -> int:
    """Trains a MaskIoU head on the detections at the places ``chosen`` (n,).

    The chance of a detection to be drawn is its class score to the power ``score_power``.
    """
    device = next(head.parameters()).device
    labels = detections.column('labels')
    scores = detections.column('scores')[chosen]
    chances = scores.clamp(min=LEAST_SCORE) ** score_power * targets.counted[chosen]
    if not chances.count_nonzero():
        raise ValueError(f'{title}: the model detects nothing in these images')

    def loss_of(step: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed * 10**7 + step)
        drawn = torch.multinomial(
            chances, min(BATCH, int(chances.count_nonzero())), generator=generator
        )
        places = chosen[drawn]
        feats, probs = detections.inputs(places, device)
        target = MaskIoUTarget(
            targets.true_iou[places].to(device), targets.counted[places].to(device)
        )
        losses = head.loss(_forward(head, feats, probs), labels[places].to(device), target)
        loss: Tensor = losses['loss_mask_iou']
        return loss

    return train(title, head, loss_of, pace, file, lr=1e-3)


@torch.no_grad()
def predict_logits(head: Any, detections: Detections, places: Tensor) -> Tensor:
    """Predicts the logit (n,) of the IoU of the detections at ``places`` (n,)."""
    device = next(head.parameters()).device
    labels = detections.column('labels')
    head.eval()
    with progress_bar('Predicting the IoU', -(-len(places) // PREDICTED)) as counted:
        step = counted(lambda part: _forward(head, *detections.inputs(part, device)).cpu())
        parts = [gather_by_label(step(p), labels[p]) for p in places.split(PREDICTED)]
    return torch.cat(parts) if parts else torch.zeros(0)


def _forward(head: Any, feats: Tensor, probs: Tensor) -> Tensor:
    """Predicts, in bfloat16 on a CPU that is faster so; a GPU is fast enough."""
    half = feats.device.type == 'cpu' and computes_in_bfloat16()
    with torch.autocast(feats.device.type, torch.bfloat16, enabled=half):
        predicted: Tensor = head(feats, probs)
    return predicted


def train_mask_rank_head(
    head: Any,
    detections: Detections,
    targets: Targets,
    matched_share: Tensor,
    logits: Tensor,
    images: Sequence[int],
    seconds: float,
    file: Path,
    *,
    seed: int,
) -> int:
    """Trains a ranking head on ``images``, given what it learns and the logits of the IoU, (N,)."""
    device = next(head.parameters()).device
    inputs = ranked_inputs(detections, logits)
    ends = torch.tensor([0, *map(len, inputs)]).cumsum(0).tolist()
    images = [image for image in images if len(inputs[image])]
    numbers = torch.cat([inputs[image] for image in images])[None].to(device)
    head.set_statistics(numbers, numbers.new_ones(numbers.shape[:2], dtype=torch.bool))
    lengths = torch.tensor([len(inputs[image]) for image in images]).float()
    epoch = -(-len(images) // RANKED_IMAGES)  # steps

    def loss_of(step: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed * 10**7 + step // epoch)
        # Images of nearly as many detections share a step: little is padded.
        noise = torch.empty(len(images)).uniform_(1 - MIXED, 1 + MIXED, generator=generator)
        batches = (lengths * noise).argsort().split(RANKED_IMAGES)
        order = torch.randperm(epoch, generator=generator)
        batch = [images[i] for i in batches[order[step % epoch]].tolist()]
        numbers, valid = _padded([inputs[image] for image in batch])
        width = valid.size(1)
        pairs = torch.zeros(len(batch), width, width, detections.images[0]['pairs'].size(-1))
        for row, image in zip(pairs, batch):
            found = detections.images[image]['pairs']
            row[: len(found), : len(found)] = found
        of_each = [
            _padded([column[ends[i] : ends[i + 1]] for i in batch])[0].to(device)
            for column in (targets.true_iou, matched_share, targets.counted)
        ]
        out = head(numbers.to(device), pairs.to(device), valid.to(device))
        losses = head.loss(out, *of_each[:2], of_each[2].bool() & valid.to(device))
        return torch.stack([*losses.values()]).sum()

    pace = Pace(RANK_EPOCHS * epoch, seconds)
    return train('Ranking head', head, loss_of, pace, file, lr=3e-3)


@torch.no_grad()
def predict_ranks(
    head: Any, detections: Detections, logits: Tensor, images: Iterable[int]
) -> tuple[Tensor, Tensor]:
    """Predicts the refined IoU (N,) and U (N,), 0 for the detections of other images.

    Args:
        logits: (N,) of the IoU that the MaskIoU head predicts.
    """
    device = next(head.parameters()).device
    inputs = ranked_inputs(detections, logits)
    found = [torch.zeros(2, len(numbers)) for numbers in inputs]
    for image in images:
        if len(inputs[image]):
            pairs = detections.images[image]['pairs'].to(device).float()
            found[image] = torch.stack(head.predict(inputs[image].to(device), pairs)).cpu()
    mask_ious, mask_scores = torch.cat(found, 1)
    return mask_ious, mask_scores


def ranked_inputs(detections: Detections, logits: Tensor) -> list[Tensor]:
    """Puts the logits (N,) of the predicted IoU into each image's numbers (n, D)."""
    counts = [len(image['scores']) for image in detections.images]
    return [
        torch.cat([ious[:, None], image['numbers'][:, 1:]], 1)
        for image, ious in zip(detections.images, logits.split(counts))
    ]


def _padded(parts: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Stacks parts of different lengths, (B, N, ...), and tells which entries are there, (B, N)."""
    lengths = torch.tensor([len(part) for part in parts])
    values = pad_sequence(list(parts), batch_first=True)
    return values, torch.arange(values.size(1)) < lengths[:, None]
