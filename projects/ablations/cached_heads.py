"""Trains rows of the study of the MaskIoU head on what a fit has kept of its images.

A row is of `table.CACHED_HEADS`. Each head learns from all training images in the cache, by steps
of `msrcnn fit`, and scores the test images: class score × predicted IoU. A finished training is
not repeated.

What a cache lacks, `table.HEAD_ALONE` trains in the model: rows that learn from positives, from the
RoI grid, from other features, or from the images of a step.

example:
  DSB2018_ROOT=FOLDER python projects/ablations/cached_heads.py detections loss_l2 \
      --fitted work_dirs/fit/mask_rcnn_15-0/scored.pth --seeds 0 --steps 600
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

import torch

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))  # started as a script, from anywhere

import projects.ablations.components  # noqa: E402, F401
from msrcnn_plugin.apis.fit.training import Pace, Targets, train_mask_iou_head  # noqa: E402
from projects.ablations.kept import Kept, predicted_ious, read_kept  # noqa: E402
from projects.ablations.records import (  # noqa: E402
    digest,
    file_digest,
    provenance,
    replace_records,
)
from projects.ablations.run import Run  # noqa: E402
from projects.ablations.study import Row  # noqa: E402
from projects.ablations.table import CACHED_HEADS  # noqa: E402

ROWS = {row.name: row for row in CACHED_HEADS.rows}


def measure(
    kept: Kept, targets: Targets, row: Row, *, seed: int, steps: int, folder: Path
) -> dict[str, Any]:
    """Trains a row's head and returns its figures in the test images.

    Args:
        folder: where the state of the training is kept.
    """
    roi_head = Run(CACHED_HEADS, row, seed, folder).configs()[0].model.roi_head
    cfg, power = roi_head.mask_iou_head, roi_head.mask_iou_sampler.sampler.score_power
    train, test = kept.train.detections, kept.test.detections
    torch.manual_seed(seed)
    head = kept.new_head(cfg)
    key = digest(repr((cfg, power, seed, steps, len(train.images))).encode())
    train_mask_iou_head(
        f'{row.name}, seed {seed}',
        head,
        train,
        targets,
        torch.arange(len(train.image)),
        Pace(steps),
        folder / f'{row.name}-{key}.pth',
        seed=seed,
        score_power=power,
    )
    ious = predicted_ious(head, test)
    return kept.test.figures(test.column('scores') * ious, ious)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('names', nargs='*', metavar='NAME', help=f'(all of {", ".join(ROWS)})')
    parser.add_argument('--fitted', type=Path, required=True, help='what msrcnn fit wrote')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2], help='of the heads')
    parser.add_argument('--steps', type=int, default=600)
    parser.add_argument(
        '--results', type=Path, default=REPOSITORY / 'results' / 'cached_heads.json'
    )
    args = parser.parse_args()
    unknown = [name for name in args.names if name not in ROWS]
    if unknown:
        parser.error(f'no row {", ".join(unknown)}; there are {", ".join(ROWS)}')
    kept = read_kept(args.fitted)
    targets = kept.train.judge.targets()
    made = provenance(shlex.join(['python', 'projects/ablations/cached_heads.py', *sys.argv[1:]]))
    folder = args.fitted.with_name(f'{args.fitted.stem}_heads')
    for row in (ROWS[name] for name in args.names or ROWS):
        for seed in args.seeds:
            figures = measure(kept, targets, row, seed=seed, steps=args.steps, folder=folder)
            record = dict(
                study=CACHED_HEADS.name,
                run=row.name,
                seed=seed,
                steps=args.steps,
                fitted=file_digest(args.fitted),
                **made,
                **figures,
            )
            replace_records(args.results, [record], ('run', 'seed'))
    return 0


if __name__ == '__main__':
    sys.exit(main())
