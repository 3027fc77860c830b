"""Detects once in the training images and keeps on disk what the two heads learn from.

A folder holds chunks of a few images. ``NNNN.pt`` has an image's detections and what the ranking
head sees of them. ``NNNN.npy`` has a row for each detection: RoI feature and mask probabilities,
half precision, read through a memory map. A chunk counts once its ``.pt`` is there, so an
interruption loses one chunk at most.
"""

from __future__ import annotations

import itertools
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from mmdet.structures.mask import encode_mask_results
from mmengine.dataset import pseudo_collate
from mmengine.dist import barrier, get_rank, get_world_size
from mmengine.structures import InstanceData
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from ...files import atomic_write, read_json, write_json
from ...models.mask_forward import stages
from ...models.rank_inputs import rank_inputs
from ...progress import progress_bar
from .start import scorer

CHUNK = 8  # images
LEAST_FREE = 0.1  # of the disk's free space is left
OPEN_FILES = 256  # at once; many systems allow 1024


@dataclass(frozen=True)
class Detections:
    """The detections of ``B`` images, ``N`` in all, in the order in which they were detected.

    Attributes:
        images: of each image ``image_id``, ``scores``, ``labels``, ``bboxes``, ``masks`` (RLE),
            ``numbers`` and ``pairs`` (as `rank_inputs` gives them).
        folder: of the chunks.
        feat_shape: (C, S, S) of a RoI feature.
    """

    images: list[dict[str, Any]]
    folder: Path
    feat_shape: tuple[int, int, int]

    @cached_property
    def image(self) -> NDArray[np.int64]:
        """(N,) place of each detection's image."""
        return np.repeat(np.arange(len(self.images)), [len(i['scores']) for i in self.images])

    def column(self, name: str) -> Tensor:
        """Joins what the images hold of each detection, (N, ...)."""
        return torch.cat([image[name] for image in self.images])

    @cached_property
    def _rows(self) -> tuple[Callable[[int], NDArray], NDArray]:
        files = [file.with_suffix('.npy') for file in sorted(self.folder.glob('*.pt'))]

        @lru_cache(OPEN_FILES)
        def rows(chunk: int) -> NDArray:
            return np.load(files[chunk], mmap_mode='r')

        return rows, np.cumsum([0, *(len(rows(chunk)) for chunk in range(len(files)))])

    def inputs(self, places: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
        """Reads RoI features (n, C, S, S) and mask probabilities (n, M, M) of some detections."""
        rows, starts = self._rows
        chunks = np.searchsorted(starts, places, side='right') - 1
        local = places.numpy() - starts[chunks]
        # A copy, since a view would keep its file open.
        found = np.stack([rows(chunk)[row].copy() for chunk, row in zip(chunks, local)])
        values = torch.from_numpy(found).to(device).float()
        feats = values[:, : np.prod(self.feat_shape)].unflatten(1, self.feat_shape)
        side = round((values.size(1) - feats[0].numel()) ** 0.5)
        return feats, values[:, feats[0].numel() :].unflatten(1, (side, side))


def detect(
    model: Any,
    dataset: Any,
    order: Sequence[int],
    folder: Path,
    identity: dict[str, Any],
    *,
    loader: dict[str, Any],
    max_bytes: float,
    seconds: float,
) -> Detections:
    """Detects in images of a data set as at test, or reads what an earlier call detected.

    Args:
        model: with mask scoring, in eval mode.
        order: places of the images, in a random order: what does not fit is a random share. Of
            several processes, each detects in its part of them.
        identity: what the cache depends on.
        loader: ``batch_size`` and ``num_workers`` of the data loader.
        max_bytes: of RoI features and masks on disk, or what the disk has free.
        seconds: after which no further chunk is begun.

    Raises:
        ValueError: the folder holds detections of another model or data set.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _require_same(folder / 'identity.json', identity)
    rank, world_size = get_rank(), get_world_size()
    chunks = [order[start : start + CHUNK] for start in range(0, len(order), CHUNK)]
    kept = {int(file.stem) for file in folder.glob('*.pt')}
    mine = [number for number in range(rank, len(chunks), world_size) if number not in kept]
    room = min(
        max_bytes - sum((folder / f'{number:05}.npy').stat().st_size for number in kept),
        shutil.disk_usage(folder).free * (1 - LEAST_FREE),
    )
    room, end = room / world_size, time.monotonic() + seconds
    barrier()  # all have counted what is kept before one writes
    if room > 0:
        batch_size = loader['batch_size']
        batches = [
            (number, list(chunks[number][start : start + batch_size]))
            for number in mine
            for start in range(0, len(chunks[number]), batch_size)
        ]
        data = DataLoader(
            dataset,
            batch_sampler=[places for _, places in batches],
            collate_fn=pseudo_collate,
            num_workers=loader['num_workers'],
        )
        found: list[dict[str, Any]] = []
        rows: list[NDArray] = []
        with progress_bar('Detecting', len(batches)) as counted:
            for (number, _), batch in zip(batches, data):
                for image, values in counted(_detected)(model, batch):
                    found.append(image)
                    rows += [values] if len(values) else []
                if len(found) == len(chunks[number]):
                    room -= _write(folder / f'{number:05}', found, rows)
                    found, rows = [], []
                    if time.monotonic() > end or room <= 0:
                        break
    barrier()
    files = sorted(folder.glob('*.pt'))
    images = list(itertools.chain(*(torch.load(file, weights_only=True) for file in files)))
    head = stages(scorer(model)[0].mask_iou_head)[-1]
    return Detections(images, folder, (head.in_channels, *head.roi_feat_size))


@torch.no_grad()
def _detected(model: Any, batch: Any) -> list[tuple[dict[str, Any], NDArray[np.float16]]]:
    """Detects in a batch: of each image what `Detections.images` holds, and its rows."""
    owner, _ = scorer(model)
    feats: list[Tensor] = []
    seen: list[tuple] = []

    def look(roi_feats: Tensor, mask_probs: Tensor, labels: Tensor) -> Tensor:
        feats.append(roi_feats.flatten(1))
        return roi_feats.new_zeros(len(labels))

    def keep(results: Any, _: Tensor, mask_probs: Tensor, boxes: Tensor | None = None) -> None:
        seen.append((results, mask_probs, boxes))

    # What would be scored is kept, unscored. A batch without detections has no RoI feature.
    head = stages(owner.mask_iou_head)[-1]
    with patch.object(head, 'predict', look), patch.object(owner, 'score_instances', keep):
        samples = model.test_step(batch)
    counts = [len(results) for results, *_ in seen]
    feats_list = (feats[0] if feats else seen[0][1].new_zeros(0, 1)).split(counts)
    return [
        (
            _described(sample.img_id, *given),
            torch.cat([roi_feats, given[1].flatten(1)], 1).half().cpu().numpy(),
        )
        for sample, given, roi_feats in zip(samples, seen, feats_list, strict=True)
    ]


def _described(
    img_id: Any, results: InstanceData, probs: Tensor, boxes: Tensor | None
) -> dict[str, Any]:
    results.mask_ious = torch.zeros_like(results.scores)  # not predicted yet
    inputs = rank_inputs(results, probs, boxes)
    masks = encode_mask_results(results.masks.cpu().numpy())
    described = dict(
        image_id=img_id,
        masks=[dict(size=list(m['size']), counts=m['counts'].decode()) for m in masks],
        scores=results.scores,
        labels=results.labels.long(),  # SOLO's are of another type where it finds nothing
        bboxes=results.bboxes,
        numbers=inputs.numbers,
        pairs=inputs.pairs.half(),
    )
    return {k: v.cpu() if isinstance(v, Tensor) else v for k, v in described.items()}


def _write(stem: Path, images: list[dict[str, Any]], rows: list[NDArray]) -> int:
    """Writes a chunk, and returns the bytes of its rows."""
    values = np.concatenate(rows) if rows else np.zeros((0, 1), np.float16)
    with atomic_write(stem.with_suffix('.npy')) as stream:
        np.save(stream, values)
    with atomic_write(stem.with_suffix('.pt')) as stream:
        torch.save(images, stream)
    return values.nbytes


def _require_same(path: Path, identity: dict[str, Any]) -> None:
    """Writes what a new cache depends on; refuses one that depends on something else."""
    if not path.is_file():
        write_json(path, identity)
    kept = read_json(path)
    other = [name for name, value in identity.items() if kept.get(name) != value]
    if other:
        raise ValueError(
            f'{path.parent} holds detections made with other {" and ".join(other)}: delete it, or '
            'give another OUT'
        )
