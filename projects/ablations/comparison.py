"""Ranks the same masks by every score there is, and adds the rows to results/comparison.json.

The masks are those that the model keeps in the test images of its config. A predicted IoU is taken
before any calibration. Soft-NMS and mask NMS go over the masks that are kept; box Soft-NMS in place
of the model's own NMS would keep others. Their settings are the best in the images that the fit
held out.

example:
  DSB2018_ROOT=FOLDER python projects/ablations/comparison.py configs/nuclei/mask_rcnn_r18_fpn.py \
      epoch_8.pth work_dirs/fit/mask_rcnn_15-0/scored.pth --study scores_nuclei --title R18
"""

from __future__ import annotations

import argparse
import copy
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))  # started as a script, from anywhere

from msrcnn_plugin.apis.fit.detections import Detections  # noqa: E402
from msrcnn_plugin.apis.fit.fit_scores import half_of_image  # noqa: E402
from msrcnn_plugin.apis.fit.training import (  # noqa: E402
    PREDICTED,
    predict_logits,
    predict_ranks,
    ranked_inputs,
)
from msrcnn_plugin.apis.mean_mask_probs import mask_stability  # noqa: E402
from msrcnn_plugin.checkpoints import read_checkpoint  # noqa: E402
from msrcnn_plugin.evaluation.rescorer import train_trees  # noqa: E402
from msrcnn_plugin.models.rank_inputs import NUMBERS, PAIRS  # noqa: E402
from projects.ablations.kept import Kept, predicted_ious, read_kept  # noqa: E402
from projects.ablations.records import file_digest, provenance, replace_records  # noqa: E402

HEADS = dict(paper="the paper's recipe", ours='our recipe, two epochs')
BASES = dict(score='class score', product='class score × IoU of the head', unique='U')
# A factor for each mask IoU with the best detection left, given a threshold or Gaussian's sigma.
# Soft-NMS's are those of its paper (Bodla et al., 2017). A threshold above 1 lowers nothing.
DECAYS: dict[str, Callable[[Tensor, float], Tensor]] = {
    'mask NMS': lambda iou, at: (iou <= at).float(),
    'linear Soft-NMS': lambda iou, at: torch.where(iou > at, 1 - iou, 1.0),
    'Gaussian Soft-NMS': lambda iou, at: torch.exp(-(iou**2) / at),
}
LEAST_PROB = 0.1  # a mask without a pixel has the mean 0
SETTINGS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.5, 2.0)


def decayed(scores: Tensor, overlap: Tensor, decay: str, setting: float) -> Tensor:
    """Lowers scores (B, n) greedily: the best detection left lowers all others that are left.

    Args:
        scores: at least 0; 0 for padding.
        overlap: (B, n, n) mask IoU of two detections; 0 where they do not compete.
    """
    images, left = torch.arange(len(scores)), torch.ones_like(scores, dtype=torch.bool)
    for _ in range(scores.size(1)):
        best = scores.where(left, -1.0).argmax(1)
        left[images, best] = False
        factor = DECAYS[decay](overlap[images, best], setting)
        scores = torch.where(left, scores * factor, scores)
    return scores


def suppressed(detections: Detections, scores: Tensor, decay: str, setting: float) -> Tensor:
    """Lowers scores (N,) by the better-ranked detections of the same class and image."""
    counts = [len(image['scores']) for image in detections.images]
    padded = pad_sequence(scores.split(counts), batch_first=True)
    overlap = padded.new_zeros(*padded.shape, padded.size(1))
    iou, same = PAIRS.index('mask_iou'), PAIRS.index('same_class')
    for table, image in zip(overlap, detections.images):
        pairs = image['pairs'].float()
        table[: len(pairs), : len(pairs)] = pairs[..., iou] * pairs[..., same]
    lowered = decayed(padded, overlap, decay, setting)
    return torch.cat([row[:count] for row, count in zip(lowered, counts)])


def predictions(kept: Kept, detections: Detections) -> dict[str, Tensor]:
    """What the fitted heads predict, (N,) each."""
    logits = predict_logits(
        kept.owner.mask_iou_head, detections, torch.arange(len(detections.image))
    )
    ious, unique = predict_ranks(
        kept.owner.mask_rank_head, detections, logits, range(len(detections.images))
    )
    scores = detections.column('scores')
    product = scores * logits.sigmoid()
    return dict(logits=logits, rank_iou=ious, unique=unique, score=scores, product=product)


def compare(
    kept: Kept, heads: Mapping[str, Path], shared: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Returns a record for each score.

    Args:
        heads: for names of `HEADS`, checkpoints whose MaskIoU head was trained on the same trunk.
        shared: what all records say.
    """
    test, held_out, records = kept.test.detections, kept.held_out.detections, []
    found, chosen_by = predictions(kept, test), predictions(kept, held_out)
    scores = found['score']

    def add(run: str, title: str, values: Any, ious: Tensor | None = None, **more: Any) -> None:
        figures = kept.test.figures(values, ious)
        records.append(dict(shared, run=run, title=title, **more, **figures))
        print(f'{title}: {figures}', flush=True)

    def add_product(run: str, title: str, ious: Tensor) -> None:
        add(run, f'class score × {title}', scores * ious, ious)

    add('score', BASES['score'], 'score')
    add('prob', 'class score × mean mask probability', 'prob')
    add('stability', 'class score × stability', scores * stability(test))
    # Some models rank by a class score that holds this factor already, such as SOLOv2.
    mean_probs = test.column('numbers')[:, NUMBERS.index('mean_mask_prob')]
    divided = scores / mean_probs.clamp(min=LEAST_PROB)
    add('divided', 'class score ÷ mean mask probability', divided)
    for name, path in heads.items():
        head = read_head(kept, path)
        add_product(name, f'IoU of the head, {HEADS[name]}', predicted_ious(head, test))
    ious = found['logits'].sigmoid()
    add_product('head', 'IoU of the head, kept detections', ious)
    title = 'class score ÷ mean mask probability × IoU of the head, kept detections'
    add('divided_head', title, divided * ious, ious)
    tree_ious, tree_unique = trees(kept, found['logits'])
    add_product('trees_iou', 'IoU of boosted trees', tree_ious)
    add_product('rank_iou', 'IoU of the ranking head', found['rank_iou'])
    add('trees_unique', 'U of boosted trees', tree_unique)
    add('rank_unique', 'U of the ranking head', found['unique'])
    for base, title in BASES.items():
        for decay in DECAYS:
            ap = {
                at: kept.held_out.ap(suppressed(held_out, chosen_by[base], decay, at))
                for at in SETTINGS
            }
            best = max(ap, key=ap.__getitem__)
            values = suppressed(test, found[base], decay, best)
            add(f'{base}, {decay}', f'{title}, {decay}', values, setting=best)
    add('oracle', 'ceiling: class score × true IoU', 'oracle')
    add('ceiling', 'ceiling: true U', 'unique')
    return records


def stability(detections: Detections) -> Tensor:
    """The stability (N,) of the masks, from the kept probabilities."""
    parts = torch.arange(len(detections.image)).split(PREDICTED)
    cpu = torch.device('cpu')
    return torch.cat([mask_stability(detections.inputs(part, cpu)[1]) for part in parts])


def read_head(kept: Kept, checkpoint: Path) -> Any:
    """Builds the MaskIoU head of another checkpoint of the same trunk, by the config in it."""
    file, prefix = read_checkpoint(checkpoint), f'{kept.prefix}mask_iou_head.'
    for name, value in kept.trunk.items():
        same = torch.equal(file.weights.get(name, torch.zeros(0)), value)
        if not same and not name.endswith('num_batches_tracked'):
            raise ValueError(
                f'{checkpoint} and the fitted model have different {name}, so its head scores '
                'other masks: give one that was trained alone, on the same trunk'
            )
    model = Config.fromstring(file.meta['cfg'], '.py').model
    head = kept.new_head((model.roi_head if kept.prefix else model).mask_iou_head)
    weights = {k.removeprefix(prefix): v for k, v in file.weights.items() if k.startswith(prefix)}
    head.load_state_dict(weights)
    return head


def trees(kept: Kept, logits: Tensor) -> tuple[Tensor, Tensor]:
    """The IoU and U (N,) of the test images, by trees that learn what the ranking head learnt."""
    train, test = kept.train.detections, kept.test.detections
    targets, seen = kept.train.judge.targets(), unseen_logits(kept)
    learnt = (train.image >= len(kept.held_out.detections.images)) & targets.counted.numpy()
    table, test_table = (
        torch.cat(ranked_inputs(*of)).double().numpy() for of in ((train, seen), (test, logits))
    )
    iou, unique = (
        train_trees(table[learnt], target.numpy()[learnt], NUMBERS).predict(test_table)
        for target in (targets.true_iou, kept.train.judge.matched_share(seen))
    )
    return torch.from_numpy(iou), torch.from_numpy(unique)


def unseen_logits(kept: Kept) -> Tensor:
    """The logits (N,) that the fit's heads give the half of the images they had not seen.

    They are 0 in the images held out.
    """
    train, judged = kept.train.detections, len(kept.held_out.detections.images)
    count = len(train.images)
    half = torch.from_numpy(half_of_image(np.arange(count) < judged)[train.image])
    logits = torch.zeros(len(half))
    for seen in (0, 1):
        files = [*kept.cache.glob(f'half_{seen}-{count}-{judged}-*.pth')]
        if len(files) != 1:
            raise ValueError(f'{kept.cache} is of {len(files)} fits, expected one: fit anew')
        head = copy.deepcopy(kept.owner.mask_iou_head)
        head.load_state_dict(torch.load(files[0], weights_only=True)['module'])
        unseen = (half == 1 - seen).nonzero()[:, 0]
        logits[unseen] = predict_logits(head, train, unseen)
    return logits


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='of the trained model')
    parser.add_argument('checkpoint', type=Path, help='its weights')
    parser.add_argument('fitted', type=Path, help='what msrcnn fit made of it')
    parser.add_argument('--study', required=True, help='of the table that shows it')
    parser.add_argument('--title', required=True, help='of the model')
    parser.add_argument('--seed', type=int, default=0)
    for name, recipe in HEADS.items():
        parser.add_argument(f'--{name}', type=Path, help=f'checkpoint of a head: {recipe}')
    parser.add_argument('--results', type=Path, default=REPOSITORY / 'results' / 'comparison.json')
    args = parser.parse_args()
    heads = {name: path for name in HEADS if (path := getattr(args, name))}
    kept = read_kept(args.fitted, args.checkpoint)
    shared = dict(
        study=args.study,
        model=args.title,
        seed=args.seed,
        config=args.config,
        start=file_digest(args.checkpoint),
        fitted=file_digest(args.fitted),
        **provenance(shlex.join(['python', 'projects/ablations/comparison.py', *sys.argv[1:]])),
    )
    replace_records(args.results, compare(kept, heads, shared), ('study', 'model', 'seed'))
    return 0


if __name__ == '__main__':
    sys.exit(main())
